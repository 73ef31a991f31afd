using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>What the rounds measured, reduced to the figures of the report.</summary>
/// <param name="Exact">The peer in double precision, for its losses; null where it did not run.</param>
/// <param name="Variants">One run of each.</param>
/// <param name="Profile">Empty where none was made.</param>
internal sealed record TrainResult(TrainSize Size, IReadOnlyList<Round<WorkerRun>> Rounds, WorkerRun? Exact, IReadOnlyList<(TrainVariant Variant, WorkerRun Run)> Variants, IReadOnlyList<OperatorTime> Profile, double PeakRate)
{
    private const double LossTolerance = 1e-4;

    public IReadOnlyList<Goal> Goals => [.. Size.Goals is { } goals ? Of(goals) : [], Goal.Most($"train-{Size.Name}-loss-difference", LossDifference, LossTolerance)];

    /// <summary>Of the median step.</summary>
    public double PeakShare => Size.OperationsPerStep / Ours.Step.Median / 1e6 / PeakRate;

    public Side Peer => Side.Of(Rounds.Select(round => round.Peer));

    public Side Ours => Side.Of(Rounds.Select(round => round.Ours));

    /// <summary>Ours over the peer's median step of the same round; the median over the rounds.</summary>
    public double TimeRatio => Summary.Of(Rounds.Select(RoundRatio)).Median;

    public double MinimumRatio => Ours.Step.Minimum / Peer.Step.Minimum;

    /// <summary>Largest difference of our losses from those of the peer in double precision (single where that did not run), over all steps and rounds.</summary>
    public double LossDifference => Math.Max(FromExact(round => round.Ours), VariantLossDifference(exact: true));

    /// <summary>The same for the variants that are the same training, or for those that are another.</summary>
    public double VariantLossDifference(bool exact) => Variants.Where(v => v.Variant.Exact == exact).Max(v => FromExact(_ => v.Run));

    /// <summary>The same for the peer in single precision.</summary>
    public double PeerLossDifference => FromExact(round => round.Peer);

    /// <summary>The most of the machine that other programs took during a run.</summary>
    public double OthersShare => Rounds.SelectMany(round => (WorkerRun[])[round.Peer, round.Ours]).Max(run => run.OthersShare);

    private IEnumerable<Goal> Of(TrainGoals goals) =>
    [
        Goal.Most($"train-{Size.Name}-step-time-ratio", Quiet ? TimeRatio : double.NaN, goals.TimeRatio),
        Goal.Least($"train-{Size.Name}-share-of-peak", Quiet ? PeakShare : double.NaN, goals.PeakShare),
        Goal.Most($"train-{Size.Name}-peak-memory-ratio", Ours.PeakBytes / Peer.PeakBytes, goals.MemoryRatio),
        .. Variants.Select(v => Goal.Most($"train-{Size.Name}-peak-memory-ratio-{v.Variant.Goal}", v.Run.PeakBytes / Peer.PeakBytes, goals.MemoryRatio)),
    ];

    private bool Quiet => Publication.IsQuiet(OthersShare);

    public static Summary StepTime(WorkerRun run) => Summary.Of(run.Steps.Skip(TrainSuite.WarmUp).Select(step => step.Milliseconds!.Value));

    private static double RoundRatio(Round<WorkerRun> round) => StepTime(round.Ours).Median / StepTime(round.Peer).Median;

    private double FromExact(Func<Round<WorkerRun>, WorkerRun> side) =>
        Rounds.SelectMany(round => (Exact ?? round.Peer).Steps.Zip(side(round).Steps)).Max(pair => Difference(pair.First, pair.Second));

    private static double Difference(WorkerLine a, WorkerLine b) =>
        double.IsFinite(a.Loss!.Value - b.Loss!.Value) ? Math.Abs(a.Loss.Value - b.Loss.Value) : double.PositiveInfinity;
}

/// <summary>One side over all rounds: the median and minimum step in milliseconds, and the median peak.</summary>
internal sealed record Side(string About, Summary Step, double PeakBytes)
{
    public static Side Of(IEnumerable<WorkerRun> runs)
    {
        WorkerRun[] all = [.. runs];
        Summary[] steps = [.. all.Select(TrainResult.StepTime)];
        var step = new Summary(Summary.Of(steps.Select(summary => summary.Median)).Median, steps.Min(summary => summary.Minimum));
        WorkerLine first = all[0].Lines[0];
        string about = first.LinearAlgebra is { } library ? $"{first.About} ({library})" : first.About!;
        return new Side(about, step, Summary.Of(all.Select(run => (double)run.PeakBytes)).Median);
    }
}
