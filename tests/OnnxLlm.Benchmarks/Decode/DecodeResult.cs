using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>What the rounds measured: the float package is the peer, the INT8 one is ours.</summary>
internal sealed record DecodeResult(DecodeJob Job, IReadOnlyList<Round<WorkerRun>> Rounds)
{
    public static IReadOnlyList<int> Batches { get; } = [1, 4];

    public IReadOnlyList<Goal> Goals => [Goal.Least("decode_int8_over_fp32", Publication.IsQuiet(OthersShare) ? DecodeRatio(batch: 1) : double.NaN, 1)];

    public double OthersShare => Rounds.SelectMany(round => (WorkerRun[])[round.Peer, round.Ours]).Max(run => run.OthersShare);

    /// <summary>Tokens per second of all sequences together: the median answer of a run.</summary>
    public double DecodeRate(WorkerRun run, int batch) => batch * Summary.Of(Job.Answered(run, batch).Select(answer => answer.StreamRate)).Median;

    /// <summary>Prompt tokens per second of one sequence.</summary>
    public double PrefillRate(WorkerRun run) => Summary.Of(Job.Answered(run, 1).Select(answer => Prompts.Length / answer.FirstMilliseconds * 1e3)).Median;

    public double DecodeRatio(int batch) => Ratio(run => DecodeRate(run, batch));

    /// <summary>Ours over the peer's figure of the same round; the median over the rounds.</summary>
    public double Ratio(Func<WorkerRun, double> figure) => Summary.Of(Rounds.Select(round => figure(round.Ours) / figure(round.Peer))).Median;
}
