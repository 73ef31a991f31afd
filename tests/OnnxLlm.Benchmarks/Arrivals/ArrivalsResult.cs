using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Arrivals;

/// <summary>What the readers of some streams saw in one round.</summary>
/// <param name="Streams">Streams that ran together.</param>
/// <param name="Quiet">Milliseconds between pieces while nothing else happened.</param>
/// <param name="Busy">The same while a long prompt was read.</param>
/// <param name="PromptMilliseconds">From the long prompt's request to its first token.</param>
/// <param name="OthersShare">Share of the machine that neither server nor clients took.</param>
internal sealed record ArrivalsRun(int Streams, IReadOnlyList<double> Quiet, IReadOnlyList<double> Busy, double PromptMilliseconds, double OthersShare)
{
    public double Ratio => Late(Busy) / Late(Quiet);

    /// <summary>Only one in twenty waits longer.</summary>
    public static double Late(IEnumerable<double> gaps) => Percentiles.Of(gaps)?.P95 ?? throw new BenchmarkException("A stream was over before there was anything to see.");
}

/// <summary>All rounds.</summary>
internal sealed record ArrivalsResult(IReadOnlyList<ArrivalsRun> Runs)
{
    private const double LargestRatio = 2;

    public IReadOnlyList<int> Streams => [.. Runs.Select(run => run.Streams).Distinct()];

    public IReadOnlyList<Goal> Goals => [.. Streams.Select(streams =>
        Goal.Most($"serve_intertoken_p95_ratio_{streams}", Publication.IsQuiet(OthersShare) ? Median(streams, run => run.Ratio) : double.NaN, LargestRatio))];

    public double OthersShare => Runs.Max(run => run.OthersShare);

    /// <summary>Of the rounds with so many streams.</summary>
    public double Median(int streams, Func<ArrivalsRun, double> figure) => Summary.Of(Runs.Where(run => run.Streams == streams).Select(figure)).Median;
}
