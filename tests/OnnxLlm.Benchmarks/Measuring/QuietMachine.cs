namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>
/// Waits until the machine is as fast as it has been seen to be. Shared hosts slow down in phases that no load figure shows;
/// a tenth of a second of pure multiply-adds on every thread does show them. The wait is bounded, and a busy machine is only
/// reported: what makes the comparisons fair is that the two sides alternate.
/// </summary>
internal sealed class QuietMachine(TimeProvider time, int threads, TextWriter log)
{
    private const double QuietShare = 0.95;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    private readonly ArithmeticRate _arithmetic = new(time, threads);

    /// <summary>Highest rate seen so far, in 10⁹ floating-point operations per second over all threads.</summary>
    public double PeakRate { get; private set; }

    /// <summary>Returns when a probe reaches 95 % of the highest rate seen, or after half a minute.</summary>
    public void Wait()
    {
        long begin = time.GetTimestamp();
        if (PeakRate == 0) PeakRate = _arithmetic.Peak();
        double rate;
        do
        {
            rate = Rate();
            PeakRate = Math.Max(PeakRate, rate);
            if (rate >= QuietShare * PeakRate) return;
        }
        while (time.GetElapsedTime(begin) < LongestWait);
        log.WriteLine(FormattableString.Invariant($"  the machine is busy: {rate:F0} of {PeakRate:F0} GFLOP/s"));
    }

    /// <summary>The rate at this moment, by one probe.</summary>
    public double Rate() => _arithmetic.Probe();
}
