using System.Globalization;
using System.Text;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Times of single kernels, from the table that Nsight Compute prints with <c>--csv --page raw --metrics gpu__time_duration.sum</c>.</summary>
internal static class KernelTimes
{
    private const string Name = "Kernel Name", Time = "gpu__time_duration.sum";
    private const int Shown = 25;

    /// <summary>The kernels that take most, summed over their launches.</summary>
    public static IEnumerable<string> Summary(string path)
    {
        if (!File.Exists(path)) yield break;
        string[][] table = [.. File.ReadLines(path).Where(line => line.StartsWith('"')).Select(Cells)];
        if (table.Length < 3 || Array.IndexOf(table[0], Name) < 0 || Array.IndexOf(table[0], Time) < 0) yield break;
        var kernels = Kernels(table).GroupBy(k => k.Name).Select(g => (Name: g.Key, Calls: g.Count(), Milliseconds: g.Sum(k => k.Milliseconds))).OrderByDescending(k => k.Milliseconds).ToList();
        double all = kernels.Sum(k => k.Milliseconds);
        yield return string.Create(CultureInfo.InvariantCulture, $"- kernels of one training step: {kernels.Sum(k => k.Calls)} launches, {all:F1} ms");
        foreach (var kernel in kernels.Take(Shown))
            yield return string.Create(CultureInfo.InvariantCulture, $"  {kernel.Milliseconds,8:F2} ms {kernel.Milliseconds / all,6:P1} {kernel.Calls,5} x {kernel.Name[..Math.Min(kernel.Name.Length, 90)]}");
    }

    /// <summary>The second row holds the units.</summary>
    private static IEnumerable<(string Name, double Milliseconds)> Kernels(string[][] table)
    {
        int name = Array.IndexOf(table[0], Name), time = Array.IndexOf(table[0], Time);
        double unit = table[1][time] switch { "ns" or "nsecond" => 1e-6, "us" or "usecond" => 1e-3, "ms" or "msecond" => 1, _ => 1e3 };
        return table[2..].Where(row => row.Length == table[0].Length).Select(row => (row[name], double.Parse(row[time], NumberStyles.Number, CultureInfo.InvariantCulture) * unit));
    }

    /// <summary>Every cell is in quotes; a quote within is written twice.</summary>
    private static string[] Cells(string line)
    {
        var (cells, cell) = (new List<string>(), new StringBuilder());
        bool quoted = false;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '"' && quoted && i + 1 < line.Length && line[i + 1] == '"') cell.Append(line[++i]);
            else if (line[i] == '"') quoted = !quoted;
            else if (line[i] == ',' && !quoted) { cells.Add(cell.ToString()); cell.Clear(); }
            else cell.Append(line[i]);
        }
        return [.. cells, cell.ToString()];
    }
}
