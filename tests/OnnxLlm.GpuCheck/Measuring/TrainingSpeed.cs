using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Whole training steps of a model: forward, backward, clipping, update. The peer (torch_gpt2.py) writes the same.</summary>
/// <param name="Name">Who was measured.</param>
/// <param name="StepMilliseconds">Median.</param>
/// <param name="TokensPerSecond">At the median.</param>
/// <param name="FlopsPerToken">The model's arithmetic, three times the forward pass's.</param>
/// <param name="MemoryMb">Of the device, in use at the end; null where it cannot be read.</param>
/// <param name="FirstLoss">Before the first update.</param>
/// <param name="LastLoss">After all of them.</param>
internal sealed record SpeedResult(string Name, double StepMilliseconds, double TokensPerSecond, double FlopsPerToken, double? MemoryMb, double FirstLoss, double LastLoss);

internal static class TrainingSpeed
{
    private const int Time = 1024, WarmUp = 5;

    /// <summary>GPT-2 124M, its vocabulary padded to a multiple of 128 as everybody does.</summary>
    internal static readonly ModelConfig Gpt2 = ModelConfig.Preset("gpt2") with { VocabularySize = 50304 };

    public static SpeedResult Measure(Device device, Precision precision, int batch, int steps, TimeProvider time)
    {
        var shape = new TrainingShape(batch, Time);
        var graphs = TrainingGraphs.Create(Gpt2, shape, new OptimizerSettings(), new StepSettings { Target = GraphTarget.Cuda, Precision = precision });
        using var engine = new OnnxTrainingEngine(graphs, shape, new SessionSettings { Device = device, Capture = true }) { Scaler = graphs.HasLossScale ? new LossScaler(new()) : null };
        engine.Tensors.Initialize(new Initializer(Gpt2, seed: 1));
        var data = MadeUpLanguage.Batch(batch, Time, Gpt2.VocabularySize, seed: 1);
        var (losses, milliseconds) = (new List<double>(), new List<double>());
        for (int step = 1; step <= WarmUp + steps; step++)
        {
            long begun = time.GetTimestamp();
            losses.Add(engine.Accumulate(data, reset: true, 1f / data.ValidTokens));
            engine.Update(3e-4, step);
            if (step > WarmUp) milliseconds.Add(time.GetElapsedTime(begun).TotalMilliseconds);
        }
        double median = milliseconds.Order().ElementAt(milliseconds.Count / 2);
        return new($"OnnxLlm, ONNX Runtime {OrtSession.RuntimeVersion}", median, batch * Time / median * 1e3, FlopCount.PerToken(graphs.Evaluation, (long)batch * Time),
            GpuMonitor.Open(device)?.Read().MemoryBytes / 1e6, losses[0], losses[^1]);
    }
}
