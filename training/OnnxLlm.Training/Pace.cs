namespace OnnxLlm.Training;

/// <summary>
/// The wall clock of a run, over all of its processes, and how fast it goes. Throughput counts steps only; the pace of the plan counts
/// everything since the second step, validations and checkpoints included.
/// </summary>
internal sealed class Pace(TimeProvider clock, TimeSpan earlier)
{
    /// <summary>Share of the newest step in the smoothed step time.</summary>
    private const double Newest = 0.1;

    private readonly long _start = clock.GetTimestamp();
    private long _firstEnd;
    private long _stepStart;
    private int _steps;
    private TimeSpan _smoothed;
    private TimeSpan _wait;

    /// <summary>Since the run began, earlier processes included.</summary>
    public TimeSpan Elapsed => earlier + clock.GetElapsedTime(_start);

    /// <summary>Steps timed by this process.</summary>
    public int Steps => _steps;

    /// <summary>Smoothed time of a step alone.</summary>
    public TimeSpan StepTime => _smoothed;

    /// <summary>Mean time per step with everything between the steps; null before the second one ended.</summary>
    public TimeSpan? PerStep => _steps < 2 ? null : clock.GetElapsedTime(_firstEnd) / (_steps - 1);

    /// <summary>Share of the last step's time that passed before its data was there.</summary>
    public double? DataWait { get; private set; }

    public void DataArrives() => _wait = clock.GetElapsedTime(_stepStart);

    public void StepBegins() => _stepStart = clock.GetTimestamp();

    public void StepEnds()
    {
        var time = clock.GetElapsedTime(_stepStart);
        DataWait = time > TimeSpan.Zero ? _wait / time : null;
        _smoothed = _steps++ < 2 ? time : _smoothed + (time - _smoothed) * Newest;     // the first step also warms up the runtime
        if (_steps == 1) _firstEnd = clock.GetTimestamp();
    }
}
