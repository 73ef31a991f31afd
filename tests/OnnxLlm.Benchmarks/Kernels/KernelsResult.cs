using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>One round of a function: the fastest run of either side in milliseconds, and what the machine allowed just before.</summary>
internal sealed record KernelRound(double Kernel, double Body, MachineLimits Limits);

internal sealed record KernelTimes(KernelWork Work, IReadOnlyList<KernelRound> Rounds)
{
    public Summary Kernel => Summary.Of(Rounds.Select(r => r.Kernel));

    public Summary Body => Summary.Of(Rounds.Select(r => r.Body));

    public Summary LimitMilliseconds => Summary.Of(Rounds.Select(r => Work.LimitMilliseconds(r.Limits)));

    /// <summary>The median over the rounds.</summary>
    public double OfLimit => Summary.Of(Rounds.Select(r => r.Kernel / Work.LimitMilliseconds(r.Limits))).Median;

    public double OfBody => Summary.Of(Rounds.Select(r => r.Kernel / r.Body)).Median;
}

internal sealed record KernelsResult(IReadOnlyList<KernelTimes> Times, double OthersShare)
{
    private const double MostOfLimit = 1.5;

    public IReadOnlyList<Goal> Goals =>
        [.. Times.GroupBy(t => t.Work.Function).Select(g => Goal.Most($"kernel-{g.Key}-of-limit", g.Max(t => t.OfLimit), MostOfLimit))];

    /// <summary>The median and the best of a rate over all rounds.</summary>
    public string Range(Func<MachineLimits, double> rate)
    {
        double[] rates = [.. Times.SelectMany(t => t.Rounds).Select(r => rate(r.Limits) / 1e9)];
        return string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Summary.Of(rates).Median:F1} (at best {rates.Max():F1})");
    }
}
