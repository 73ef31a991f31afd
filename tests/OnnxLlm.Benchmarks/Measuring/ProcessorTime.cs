using System.Globalization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>
/// How much of the machine other programs (and, in a virtual machine, other guests) took while a worker ran. A few busy neighbours
/// can slow a program of spinning threads tenfold, so times without this figure mean little.
/// </summary>
internal sealed class ProcessorTime(TimeProvider time)
{
    private const string Source = "/proc/stat";
    private const int Idle = 3, Waiting = 4, Guest = 8;
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(0.01); // USER_HZ is 100 on every Linux

    private readonly long _begin = time.GetTimestamp();
    private readonly TimeSpan _busy = Busy();

    /// <summary>Share of all processor time since the construction that was neither idle nor <paramref name="ours"/>; 0 where the system does not tell.</summary>
    public double OthersShare(TimeSpan ours)
    {
        TimeSpan all = time.GetElapsedTime(_begin) * Environment.ProcessorCount;
        return Math.Clamp((Busy() - _busy - ours) / all, 0, 1);
    }

    /// <summary>Sum of the first line of /proc/stat without idle and waiting; guest time is part of user time already.</summary>
    public static TimeSpan Busy(string line) => Tick * line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]
        .Select(field => long.Parse(field, CultureInfo.InvariantCulture))
        .Where((_, column) => column is not (Idle or Waiting) && column < Guest).Sum();

    private static TimeSpan Busy() => File.Exists(Source) ? Busy(File.ReadLines(Source).First()) : TimeSpan.Zero;
}
