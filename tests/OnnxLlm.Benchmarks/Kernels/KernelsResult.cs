using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>Times of one function in milliseconds: the fastest run of each round.</summary>
internal sealed record KernelTimes(KernelWork Work, Summary Kernel, Summary Body, double LimitMilliseconds)
{
    /// <summary>Of the fastest run: noise only ever adds.</summary>
    public double OfLimit => Kernel.Minimum / LimitMilliseconds;

    public double OfBody => Kernel.Median / Body.Median;
}

internal sealed record KernelsResult(MachineLimits Limits, IReadOnlyList<KernelTimes> Times, double OthersShare)
{
    private const double MostOfLimit = 1.5;

    public IReadOnlyList<Goal> Goals =>
        [.. Times.GroupBy(t => t.Work.Function).Select(g => Goal.Most($"kernel-{g.Key}-of-limit", g.Max(t => t.OfLimit), MostOfLimit))];
}
