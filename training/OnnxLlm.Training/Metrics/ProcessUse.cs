namespace OnnxLlm.Training.Metrics;

/// <summary>What the process takes of the machine, from one look to the next.</summary>
/// <param name="threads">Threads of the runtime: all of their time is a share of 1.</param>
/// <param name="processorTime">Processor time of the process so far, over all of its threads.</param>
internal sealed class ProcessUse(TimeProvider clock, int threads, Func<TimeSpan> processorTime)
{
    private long _looked = clock.GetTimestamp();
    private TimeSpan _used = processorTime();

    public static ProcessUse OfThisProcess(TimeProvider clock, int threads) =>
        new(clock, threads > 0 ? threads : Environment.ProcessorCount, () => Environment.CpuUsage.TotalTime);

    /// <summary>Memory that is resident, in MB.</summary>
    public static double ResidentMb => Environment.WorkingSet / 1e6;

    /// <summary>Share of the threads' time that the process computed since the last look; above 1 where more threads than the runtime's were busy.</summary>
    public double? Look()
    {
        var (elapsed, now) = (clock.GetElapsedTime(_looked), processorTime());
        var share = elapsed > TimeSpan.Zero ? (now - _used) / (elapsed * threads) : (double?)null;
        (_looked, _used) = (clock.GetTimestamp(), now);
        return share;
    }
}
