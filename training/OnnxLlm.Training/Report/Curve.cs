using System.Collections.Immutable;

namespace OnnxLlm.Training.Report;

/// <summary>A line of a chart. Values that are absent are left out.</summary>
/// <param name="Style">Class of the page's style sheet: its colour, and whether it is faint.</param>
internal sealed record Curve(string Name, string Style, ImmutableArray<(double X, double Y)> Points)
{
    /// <summary>More points than a chart has pixels are averaged in as many groups.</summary>
    private const int MostPoints = 600;

    public static Curve Of<T>(string name, string style, IEnumerable<T> records, Func<T, long> x, Func<T, double?> y) =>
        new(name, style, Thin([.. records.Where(r => y(r) is not null).Select(r => ((double)x(r), y(r)!.Value))]));

    /// <summary>The exponential mean of the values so far.</summary>
    public Curve Smoothed(string name, string style)
    {
        var share = Math.Clamp(30.0 / Math.Max(1, Points.Length), 0.05, 1);
        var (mean, points) = (double.NaN, ImmutableArray.CreateBuilder<(double, double)>());
        foreach (var (x, y) in Points) points.Add((x, mean = double.IsNaN(mean) ? y : mean + share * (y - mean)));
        return new Curve(name, style, points.ToImmutable());
    }

    private static ImmutableArray<(double, double)> Thin(ImmutableArray<(double X, double Y)> points)
    {
        var size = (points.Length + MostPoints - 1) / MostPoints;
        return size <= 1 ? points : [.. points.Chunk(size).Select(group => (group[^1].X, group.Average(p => p.Y)))];
    }
}
