using System.Globalization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>Processor time of a process's threads by their names, as Linux tells it.</summary>
internal static class ThreadTime
{
    private const int UserTime = 11, SystemTime = 12;      // behind the name, counted from the state
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(0.01);

    /// <summary>Of the threads alive whose name fits; nothing where the system does not tell.</summary>
    public static TimeSpan Of(int process, Predicate<string> name)
    {
        string folder = $"/proc/{process}/task";
        if (!Directory.Exists(folder)) return TimeSpan.Zero;
        return Tick * Directory.GetDirectories(folder).Select(thread => Path.Combine(thread, "stat")).Where(File.Exists).Select(File.ReadAllText).Where(line => name(Name(line))).Sum(Ticks);
    }

    /// <summary>Between the outermost parentheses; a name may hold some itself.</summary>
    public static string Name(string line) => line[(line.IndexOf('(', StringComparison.Ordinal) + 1)..line.LastIndexOf(')')];

    public static long Ticks(string line)
    {
        string[] fields = line[(line.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return long.Parse(fields[UserTime], CultureInfo.InvariantCulture) + long.Parse(fields[SystemTime], CultureInfo.InvariantCulture);
    }
}
