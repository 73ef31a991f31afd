using System.Globalization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>Processor time of a process's threads at a moment, as Linux counts it, to the nanosecond.</summary>
internal sealed class ThreadTime
{
    private readonly Dictionary<string, double> _microseconds = [];

    /// <summary>Of the threads alive whose name is wanted; of none where the system does not tell.</summary>
    public static ThreadTime Of(int process, Predicate<string> wanted)
    {
        var times = new ThreadTime();
        string folder = $"/proc/{process}/task";
        if (!Directory.Exists(folder)) return times;
        foreach (string thread in Directory.GetDirectories(folder))
        {
            try
            {
                if (wanted(File.ReadAllText(Path.Combine(thread, "comm")).TrimEnd()))
                    times._microseconds[thread] = Microseconds(File.ReadAllText(Path.Combine(thread, "schedstat")));
            }
            catch (IOException)
            {
                // It has ended meanwhile, or the system does not count.
            }
        }

        return times;
    }

    /// <summary>What the threads alive have taken since another moment; not a number where the system does not tell.</summary>
    public double MicrosecondsSince(ThreadTime before) =>
        _microseconds.Count == 0 ? double.NaN : _microseconds.Sum(thread => thread.Value - before._microseconds.GetValueOrDefault(thread.Key));

    /// <summary>The first field of a line of schedstat: nanoseconds on a processor.</summary>
    public static double Microseconds(string line) => long.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture) / 1e3;
}
