namespace OnnxLlm.Training.Metrics;

/// <summary>
/// Energy that a device took, from its own counter where it has one, else from the power at each look times the time between: the mean of both ends.
/// What is drawn between looks is not seen, so the second is an estimate.
/// </summary>
/// <param name="joules">What earlier processes of the run took; null where nothing was measured.</param>
internal sealed class EnergyMeter(double? joules)
{
    private const double JoulesPerKwh = 3.6e6;

    private (TimeSpan At, double? Watts, double? Counter)? _last;

    /// <summary>So far; null until something was measured.</summary>
    public double? Joules { get; private set; } = joules;

    public double? Kwh => Joules / JoulesPerKwh;

    /// <param name="at">Time of the look; power counts from the first one on.</param>
    /// <param name="watts">Power at this moment; null where it is not known.</param>
    /// <param name="counter">The device's own count in joules, from wherever; null where there is none.</param>
    public void Look(TimeSpan at, double? watts, double? counter)
    {
        if (_last is { } last && ((counter - last.Counter) ?? ((watts + last.Watts) / 2 * (at - last.At).TotalSeconds)) is { } more) Joules = (Joules ?? 0) + more;
        _last = (at, watts, counter);
    }
}
