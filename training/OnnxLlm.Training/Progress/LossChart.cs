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

    /// <summary>Means of equal shares of the values, or the values themselves while they fit.</summary>
    private static double[] Buckets(IReadOnlyList<double> values, int width)
    {
        if (values.Count <= width) return [.. values];
        return [.. Enumerable.Range(0, width).Select(i => Mean(values, (int)((long)i * values.Count / width), (int)((i + 1L) * values.Count / width)))];
    }

    private static double Mean(IReadOnlyList<double> values, int from, int to) => Enumerable.Range(from, to - from).Average(i => values[i]);
}
