using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>One turn of each runtime at one batch.</summary>
/// <param name="Runs">By the names of the runtimes.</param>
/// <param name="ReadRate">Bytes that all threads together read from memory in a second, just before.</param>
internal sealed record PeersRound(int Batch, IReadOnlyDictionary<string, WorkerRun> Runs, double ReadRate)
{
    public double OthersShare => Runs.Values.Max(run => run.OthersShare);
}

/// <summary>What the rounds measured.</summary>
/// <param name="ProductBytes">Weights that a token needs.</param>
internal sealed record PeersResult(PeersOptions Options, IReadOnlyList<PeersRound> Rounds, double ProductBytes)
{
    private const double GenAiGoal = 1.05, PrefillGoal = 1.8, ResidentGoal = 1.2, BandwidthGoal = 0.75;

    private static readonly Dictionary<int, double> LlamaGoals = new() { [1] = 1.4, [4] = 2.5, [16] = 1.6, [32] = 1.5 };

    public static IReadOnlyList<int> Batches { get; } = [1, 4, 16, 32];

    public static IReadOnlyList<string> Runtimes { get; } = [PeersWorker.Llama, PeersWorker.GenAi, PeersWorker.Own];

    public double OthersShare => Rounds.Max(round => round.OthersShare);

    public IReadOnlyList<Goal> Goals =>
    [
        .. Batches.Select(batch => Goal.Least($"decode_over_llama_cpp_batch_{batch}", IfQuiet(Ratio(PeersWorker.Llama, batch, Decode)), LlamaGoals[batch])),
        .. Batches.Select(batch => Goal.Least($"decode_over_ort_genai_batch_{batch}", IfQuiet(Ratio(PeersWorker.GenAi, batch, Decode)), GenAiGoal)),
        .. Batches.Select(batch => Goal.Least($"prefill_over_llama_cpp_batch_{batch}", IfQuiet(Ratio(PeersWorker.Llama, batch, Prefill)), PrefillGoal)),
        .. Batches.Select(batch => Goal.Most($"resident_over_llama_cpp_batch_{batch}", Ratio(PeersWorker.Llama, batch, Resident), ResidentGoal)),
        Goal.Least("decode_share_of_bandwidth_batch_1", IfQuiet(BandwidthShare), BandwidthGoal),
    ];

    /// <summary>Of what memory can give: the weights that a single sequence's token needs, by the time that it takes.</summary>
    public double BandwidthShare => Summary.Of(Of(1).Select(round => Decode(round.Runs[PeersWorker.Own]) * ProductBytes / round.ReadRate)).Median;

    public double ReadRate => Summary.Of(Of(1).Select(round => round.ReadRate)).Median;

    /// <summary>Tokens per second of all sequences together, after the first of each.</summary>
    public static double DecodeRate(WorkerRun run, int tokens) => Line(run).Batch!.Value * (tokens - 1) / Line(run).Milliseconds!.Value * 1e3;

    public double Decode(WorkerRun run) => DecodeRate(run, Options.Tokens);

    public double Prefill(WorkerRun run) => Line(run).Batch!.Value * Options.Prompt / Line(run).FirstMilliseconds!.Value * 1e3;

    /// <summary>Most memory that the process had resident, in bytes.</summary>
    public static double Resident(WorkerRun run) => run.PeakBytes;

    public double Median(string runtime, int batch, Func<WorkerRun, double> figure) => Summary.Of(Of(batch).Select(round => figure(round.Runs[runtime]))).Median;

    /// <summary>Ours over the peer's figure of the same round; the median over the rounds.</summary>
    public double Ratio(string peer, int batch, Func<WorkerRun, double> figure) =>
        Summary.Of(Of(batch).Select(round => figure(round.Runs[PeersWorker.Own]) / figure(round.Runs[peer]))).Median;

    private IEnumerable<PeersRound> Of(int batch) => Rounds.Where(round => round.Batch == batch);

    /// <summary>Nothing where the machine was not ours.</summary>
    private double IfQuiet(double value) => Publication.IsQuiet(OthersShare) ? value : double.NaN;

    private static WorkerLine Line(WorkerRun run) => run.Steps.Single();
}
