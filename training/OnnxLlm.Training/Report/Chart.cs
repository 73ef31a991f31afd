using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text;

namespace OnnxLlm.Training.Report;

/// <summary>A chart as inline SVG: curves over steps, a grid, a legend, and marks where something happened. Colours come from the page.</summary>
/// <param name="Unit">How a value is written beside the grid.</param>
internal sealed record Chart(string Title, ImmutableArray<Curve> Curves, ImmutableArray<(long Step, string Text)> Marks, Func<double, string> Unit)
{
    private const int Width = 560, Height = 250, Left = 56, Right = 14, Top = 12, Bottom = 30;

    public string Html()
    {
        var svg = new StringBuilder();
        var curves = Curves.Where(c => !c.Points.IsEmpty).ToList();
        if (curves.Count == 0) return "";
        var (x, y) = (Scale.Of(curves.SelectMany(c => c.Points.Select(p => p.X)).Prepend(0), Left, Width - Right), Scale.Of(Shown(curves), Height - Bottom, Top));
        foreach (var tick in y.Ticks(5)) Append(svg, $"<line class='grid' x1='{Left}' x2='{Width - Right}' y1='{y.At(tick):0.#}' y2='{y.At(tick):0.#}'/><text class='tick' text-anchor='end' x='{Left - 8}' y='{y.At(tick) + 4:0.#}'>{Unit(tick)}</text>");
        foreach (var tick in x.Ticks(6)) Append(svg, $"<text class='tick' text-anchor='middle' x='{x.At(tick):0.#}' y='{Height - 10}'>{tick:#,0.##}</text>");
        foreach (var curve in curves) Append(svg, $"<polyline class='{curve.Style}' points='{string.Join(' ', curve.Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{x.At(p.X):0.#},{y.At(p.Y):0.#}")))}'/>{Dots(curve, x, y)}");
        foreach (var (step, text) in Marks) Append(svg, $"<path class='mark' d='M{x.At(step):0.#},{Height - Bottom - 8} l5,8 h-10 z'><title>step {step}: {WebUtility.HtmlEncode(text)}</title></path>");
        return $"<figure><figcaption>{WebUtility.HtmlEncode(Title)}{Legend(curves)}</figcaption><svg viewBox='0 0 {Width} {Height}' role='img' aria-label='{WebUtility.HtmlEncode(Title)}'>{svg}</svg></figure>";
    }

    /// <summary>The values that set the scale: a single spike must not flatten the rest, so the highest hundredth may be cut off, where it is not the one point of few.</summary>
    private static IEnumerable<double> Shown(List<Curve> curves)
    {
        double[] values = [.. curves.SelectMany(c => c.Points.Select(p => p.Y)).Order()];
        var highest = values[(int)((values.Length - 1) * 0.99)];
        return values.Length >= 100 && values[^1] > 2 * highest ? values.Where(v => v <= highest) : values;
    }

    /// <summary>Few points are shown as points, each with its value.</summary>
    private string Dots(Curve curve, Scale x, Scale y) => curve.Points.Length > 60 || curve.Style.Contains("faint", StringComparison.Ordinal)
        ? ""
        : string.Concat(curve.Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"<circle class='{curve.Style}' cx='{x.At(p.X):0.#}' cy='{y.At(p.Y):0.#}' r='2.5'><title>step {p.X:0}: {Unit(p.Y)}</title></circle>")));

    private static string Legend(List<Curve> curves) => curves.Count < 2
        ? ""
        : $"<span class='legend'>{string.Concat(curves.Select(c => $"<i class='{c.Style}'></i>{WebUtility.HtmlEncode(c.Name)}"))}</span>";

    private static void Append(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture));
}

/// <summary>From values to pixels, linearly; values beyond the range stay at its edge.</summary>
internal sealed record Scale(double Low, double High, double From, double To)
{
    public static Scale Of(IEnumerable<double> values, double from, double to)
    {
        var (low, high) = (values.Min(), values.Max());
        var margin = high > low ? 0 : Math.Max(1e-12, Math.Abs(high) * 0.1);
        return new Scale(low - margin, high + margin, from, to);
    }

    public double At(double value) => From + (Math.Clamp(value, Low, High) - Low) / (High - Low) * (To - From);

    /// <summary>About so many round numbers within the range: multiples of 1, 2 or 5 times a power of ten.</summary>
    public IEnumerable<double> Ticks(int count)
    {
        var rough = (High - Low) / count;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = new[] { 1, 2, 5, 10 }.Select(m => m * power).First(s => s >= rough * 0.999);
        for (var i = Math.Ceiling(Low / step - 1e-9); i * step <= High + step * 1e-9; i++) yield return i * step + 0.0;      // without the sign of −0
    }
}
