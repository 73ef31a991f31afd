using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>A run of the series over depths.</summary>
internal sealed record DepthUse(int Layers, ActivationCheckpointing Kind, TrainingUse Use);

/// <param name="InMemory">A run whose optimizer keeps its state in memory.</param>
/// <param name="OnDisk">The same with the state in a mapped file.</param>
internal sealed record MemoryResult(TrainingUse Quickstart, IReadOnlyList<DepthUse> Depths, TrainingUse InMemory, TrainingUse OnDisk)
{
    /// <summary>A prediction may be off by as much, either way.</summary>
    public const double MostPredictionError = 0.15;

    public IReadOnlyList<Goal> Goals =>
    [
        Goal.Most("quickstart training peak resident MB", Quickstart.PeakBytes / 1e6, 700),
        Goal.Most("memory prediction, largest relative error", All.Max(use => Math.Abs(use.PredictionError)), MostPredictionError),
        Goal.Most("checkpointing changes the loss by", Depths.Max(d => Math.Abs(d.Use.Loss - Plain(d.Layers).Loss)), 0),
        Goal.Most("offload changes the loss by", Math.Abs(OnDisk.Loss - InMemory.Loss), 0),
    ];

    /// <summary>During the runs whose times are reported.</summary>
    public double OthersShare => All.Max(use => use.OthersShare);

    private IEnumerable<TrainingUse> All => [Quickstart, InMemory, OnDisk, .. Depths.Select(d => d.Use)];

    /// <summary>The run of the same depth that keeps everything.</summary>
    public TrainingUse Plain(int layers) => Depths.Single(d => d.Layers == layers && d.Kind == ActivationCheckpointing.None).Use;

    /// <summary>What one more layer costs in memory, from the shallowest to the deepest run.</summary>
    public double PerLayer(ActivationCheckpointing kind)
    {
        DepthUse[] runs = [.. Depths.Where(d => d.Kind == kind)];
        return (runs[^1].Use.PeakBytes - runs[0].Use.PeakBytes) / (runs[^1].Layers - runs[0].Layers);
    }
}
