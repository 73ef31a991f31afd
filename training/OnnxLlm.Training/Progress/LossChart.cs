namespace OnnxLlm.Training.Progress;

/// <summary>A small area chart of text: one column per bucket of values, in eighths of a character cell.</summary>
internal static class LossChart
{
    private const string Eighths = " ▁▂▃▄▅▆▇█";

    /// <summary>Draws <paramref name="values"/> as <paramref name="height"/> lines, top first; its lowest value still fills one eighth.</summary>
    public static string[] Draw(IReadOnlyList<double> values, int width, int height)
    {
        var columns = Buckets(values, width);
        var (low, high) = columns.Length == 0 ? (0, 1) : (columns.Min(), columns.Max());
        var levels = columns.Select(v => 1 + (high > low ? (v - low) / (high - low) : 0) * (height * 8 - 1)).Select(level => (int)Math.Round(level)).ToArray();
        return [.. Enumerable.Range(0, height).Reverse().Select(line => string.Concat(levels.Select(level => Eighths[Math.Clamp(level - line * 8, 0, 8)])))];
    }

    /// <summary>Means of equal shares of the values; where there are fewer values than columns, each value fills several.</summary>
    private static double[] Buckets(IReadOnlyList<double> values, int width) => values.Count == 0
        ? []
        : [.. Enumerable.Range(0, width).Select(i => Mean(values, Start(i, values.Count, width), Math.Max(Start(i, values.Count, width) + 1, Start(i + 1, values.Count, width))))];

    private static int Start(int column, int count, int width) => (int)((long)column * count / width);

    private static double Mean(IReadOnlyList<double> values, int from, int to) => Enumerable.Range(from, to - from).Average(i => values[i]);
}
