using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Train;

namespace OnnxLlm.Benchmarks.Scaling;

/// <summary>One length of sequences: the step's time where every length has the same number of tokens, the peak where there is one sequence.</summary>
internal sealed record LengthCost(TrainSize Size, Summary Step, double PeakBytes)
{
    public double MicrosecondsPerToken => 1e3 * Step.Minimum / Size.TokensPerStep;
}

/// <summary>How costs grow with the length of sequences.</summary>
internal sealed record ScalingResult(IReadOnlyList<LengthCost> Lengths, double OthersShare)
{
    public IReadOnlyList<Goal> Goals =>
    [
        Goal.Most("scaling-time-over-flops", Lengths.Max(TimeOverFlops), 1.15),
        Goal.Most("scaling-time-off-line", FromLine(l => l.MicrosecondsPerToken), 0.1),
        Goal.Most("scaling-memory-off-line", FromLine(l => l.PeakBytes), 0.05),
    ];

    public LengthCost Shortest => Lengths[0];

    /// <summary>Growth of the time per token from the shortest length on.</summary>
    public double TimeGrowth(LengthCost length) => length.MicrosecondsPerToken / Shortest.MicrosecondsPerToken;

    /// <summary>Growth of the arithmetic per token: that of attention, of which a causal model needs half the square, with everything else as it was.</summary>
    public double FlopsGrowth(LengthCost length) => Operations(length.Size) / Operations(Shortest.Size);

    /// <summary>The coefficients of the straight line through the values by least squares.</summary>
    public (double Intercept, double Slope) Line(Func<LengthCost, double> value)
    {
        double x = Lengths.Average(l => l.Size.Time), y = Lengths.Average(value);
        double slope = Lengths.Sum(l => (l.Size.Time - x) * (value(l) - y)) / Lengths.Sum(l => Math.Pow(l.Size.Time - x, 2));
        return (y - slope * x, slope);
    }

    private double TimeOverFlops(LengthCost length) => TimeGrowth(length) / FlopsGrowth(length);

    /// <summary>The largest distance from the line, relative to the value.</summary>
    private double FromLine(Func<LengthCost, double> value)
    {
        var (intercept, slope) = Line(value);
        return Lengths.Max(l => Math.Abs(intercept + slope * l.Size.Time - value(l)) / value(l));
    }

    private static double Operations(TrainSize s) => 6.0 * (12.0 * s.Layers * s.Width * s.Width + (double)s.Vocabulary * s.Width) + 6.0 * s.Layers * s.Width * s.Time;
}
