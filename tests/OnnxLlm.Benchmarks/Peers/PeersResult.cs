using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>What the rounds measured, by runtime.</summary>
internal sealed record PeersResult(PeersOptions Options, IReadOnlyDictionary<string, List<WorkerRun>> Runs)
{
    /// <summary>Least ratio of our decoding to ONNX Runtime GenAI's.</summary>
    public const double GenAiGoal = 1;

    public static IReadOnlyList<int> Batches { get; } = [1, 4, 16, 32];

    /// <summary>Least ratios of our decoding to llama.cpp's, by batch.</summary>
    public static IReadOnlyDictionary<int, double> LlamaGoals { get; } = new Dictionary<int, double> { [1] = 1.2, [4] = 2, [16] = 1.5, [32] = 1.5 };

    public double OthersShare => Runs.Values.SelectMany(runs => runs).Max(run => run.OthersShare);

    public IReadOnlyList<Goal> Goals =>
    [
        .. Batches.Select(batch => Goal.Least($"decode_over_llama_cpp_batch_{batch}", Ratio(PeersWorker.Llama, batch, Decode), LlamaGoals[batch])),
        .. Batches.Select(batch => Goal.Least($"decode_over_ort_genai_batch_{batch}", Ratio(PeersWorker.GenAi, batch, Decode), GenAiGoal)),
    ];

    /// <summary>Tokens per second of all sequences together, after the first of each.</summary>
    public static double DecodeRate(WorkerLine line, int tokens) => line.Batch!.Value * (tokens - 1) / line.Milliseconds!.Value * 1e3;

    public double Decode(WorkerLine line) => DecodeRate(line, Options.Tokens);

    public double Prefill(WorkerLine line) => line.Batch!.Value * Options.Prompt / line.FirstMilliseconds!.Value * 1e3;

    public double Median(string runtime, int batch, Func<WorkerLine, double> figure) => Summary.Of(Runs[runtime].Select(run => figure(Line(run, batch)))).Median;

    public double Peak(string runtime) => Summary.Of(Runs[runtime].Select(run => (double)run.PeakBytes)).Median;

    /// <summary>Ours over the peer's figure of the same round; the median over the rounds. Nothing where the machine was not ours.</summary>
    public double Ratio(string peer, int batch, Func<WorkerLine, double> figure) => Publication.IsQuiet(OthersShare)
        ? Summary.Of(Runs[PeersWorker.Own].Zip(Runs[peer], (ours, theirs) => figure(Line(ours, batch)) / figure(Line(theirs, batch)))).Median
        : double.NaN;

    private static WorkerLine Line(WorkerRun run, int batch) => run.Steps.Single(line => line.Batch == batch);
}
