using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training;

/// <summary>
/// The learning rate of each step, a pure function. Step t (from 0) of n, with w steps of warm-up, peak p and minimum m:
/// warm-up p·(t+1)/w; then with x = (t−w)/(n−w), cosine m + (p−m)(1+cos πx)/2, linear p + (m−p)x, constant p,
/// and wsd p until the last d steps, then p + (m−p)(t−(n−d))/d. Where the clock decides n (elastic), w is at most n/4.
/// </summary>
internal sealed class Schedule(ScheduleConfig config, double peak, bool elastic = false)
{
    /// <summary>The learning rate of step <paramref name="step"/>; without a known end (null) the decay has not begun.</summary>
    public double LearningRate(long step, long? steps)
    {
        var warmup = Warmup(steps);
        if (step < warmup) return peak * (step + 1) / warmup;
        if (steps is not { } n || config.Type == ScheduleKind.Constant) return peak;

        return config.Type switch
        {
            ScheduleKind.Cosine => config.MinLearningRate + (peak - config.MinLearningRate) * (1 + Math.Cos(Math.PI * Share(step, warmup, n))) / 2,
            ScheduleKind.Linear => Line(Share(step, warmup, n)),
            _ => Line(Share(step, n - config.DecaySteps(n), n)),
        };
    }

    private long Warmup(long? steps) => elastic && steps is { } n ? Math.Min(config.WarmupSteps, n / 4) : config.WarmupSteps;

    private double Line(double share) => peak + (config.MinLearningRate - peak) * share;

    private static double Share(long step, long from, long to) => Math.Clamp((step - from) / (double)Math.Max(1, to - from), 0, 1);
}
