using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Stability;

/// <summary>
/// Watches the logged steps for what usually goes wrong. A rule speaks once when its condition begins to hold, and again only after it has
/// ceased to. What it knows comes from the log alone, so a resumed run, or a report, that replays the log comes to the same alarms.
/// </summary>
internal sealed class HealthRules
{
    /// <summary>Logged steps over which the loss is judged, and outliers of the gradient in a row that are no accident.</summary>
    public const int OscillationWindow = 20, StallWindow = 100, GradientWindow = 10, ProcessorWindow = 10, GpuWindow = 10;

    private const double MaxOscillation = 0.15, LeastNorm = 0.1, GreatestNorm = 10, LeastGain = 0.001, LeastCpuShare = 0.85, LeastGpuUtilization = 0.85;

    private readonly Queue<StepMetrics> _recent = [];
    private readonly HashSet<string> _raised = [];

    /// <summary>Takes in one logged step; returns the rules that begin to be broken with it, each with what was seen.</summary>
    public IReadOnlyList<HealthAlert> Observe(StepMetrics step)
    {
        _recent.Enqueue(step);
        if (_recent.Count > StallWindow) _recent.Dequeue();
        var broken = new[] { NotFinite(step), GradientNorm(), Oscillation(), Stall(), Processor(), Gpu() }.OfType<HealthAlert>().ToList();
        var begun = broken.Where(alert => !_raised.Contains(alert.Rule)).ToList();
        _raised.Clear();
        _raised.UnionWith(broken.Select(alert => alert.Rule));
        return begun;
    }

    /// <summary>A step left out because of a spike has no gradient norm, and nothing is wrong with that.</summary>
    private static HealthAlert? NotFinite(StepMetrics step) => step is { Loss: not null, GradientNorm: not null } or { Loss: not null, Spike: not null }
        ? null
        : new("not finite", $"the {(step.Loss is null ? "loss" : "gradient norm")} is not finite");

    private HealthAlert? GradientNorm()
    {
        var norms = _recent.TakeLast(GradientWindow).Select(s => s.GradientNorm).OfType<double>().ToList();
        if (norms.Count < GradientWindow) return null;
        if (norms.All(n => n > GreatestNorm)) return new("gradient norm", FormattableString.Invariant($"the gradient norm stays above {GreatestNorm}, at {norms[^1]:0.0}"));
        return norms.All(n => n < LeastNorm) ? new("gradient norm", FormattableString.Invariant($"the gradient norm stays below {LeastNorm}, at {norms[^1]:0.000}")) : null;
    }

    /// <summary>The deviation from a straight line through the losses, so that a steady fall is none.</summary>
    private HealthAlert? Oscillation()
    {
        var losses = Losses(OscillationWindow);
        if (losses.Length < OscillationWindow) return null;
        var (mean, middle) = (losses.Average(), (losses.Length - 1) / 2.0);
        var slope = losses.Index().Sum(l => (l.Index - middle) * l.Item) / losses.Index().Sum(l => (l.Index - middle) * (l.Index - middle));
        var deviation = Math.Sqrt(losses.Index().Average(l => Math.Pow(l.Item - mean - slope * (l.Index - middle), 2))) / mean;
        return deviation > MaxOscillation ? new("oscillation", FormattableString.Invariant($"the loss swings by {deviation * 100:0} % around its trend")) : null;
    }

    private HealthAlert? Stall()
    {
        var losses = Losses(StallWindow);
        if (losses.Length < StallWindow) return null;
        var (before, after) = (losses[..(StallWindow / 2)].Average(), losses[(StallWindow / 2)..].Average());
        return after > before * (1 - LeastGain) ? new("stall", FormattableString.Invariant($"the loss has not fallen for {StallWindow} logged steps: {before:0.000}, then {after:0.000}")) : null;
    }

    /// <summary>The threads spin while they wait for each other, so an idle processor means that they wait for something else, or that others have it.</summary>
    private HealthAlert? Processor()
    {
        var shares = _recent.TakeLast(ProcessorWindow).Select(s => s.CpuShare).OfType<double>().ToList();
        if (shares.Count < ProcessorWindow || shares.Any(s => s >= LeastCpuShare)) return null;
        return new("processor", FormattableString.Invariant($"training has had less than {LeastCpuShare * 100:0} % of its threads' time for {ProcessorWindow} logged steps, now {shares[^1] * 100:0} %: data, disk or other programs hold it up"));
    }

    /// <summary>Null where the GPU's instruments cannot be read, or there is none.</summary>
    private HealthAlert? Gpu()
    {
        var shares = _recent.TakeLast(GpuWindow).Select(s => s.GpuUtilization).OfType<double>().ToList();
        if (shares.Count < GpuWindow || shares.Any(s => s >= LeastGpuUtilization)) return null;
        return new("gpu", FormattableString.Invariant($"the GPU has been busy for less than {LeastGpuUtilization * 100:0} % of the time for {GpuWindow} logged steps, now {shares[^1] * 100:0} %: data, the host or others hold it up, or a micro-batch is too small for it"));
    }

    private double[] Losses(int count) => [.. _recent.TakeLast(count).Select(s => s.Loss).OfType<double>()];
}

/// <summary>A broken rule, by its name, and what was seen.</summary>
internal sealed record HealthAlert(string Rule, string Message);
