using System.Globalization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>A measured value beside what it should be; <see cref="ToString"/> is the line that scripts read.</summary>
internal sealed record Goal(string Name, double Value, bool AtMost, double Bound)
{
    public bool Met => AtMost ? Value <= Bound : Value >= Bound;

    /// <summary>Three digits, or as many as show on which side of the bound the value lies.</summary>
    public string Shown => Enumerable.Range(3, 15)
        .Select(digits => Value.ToString($"G{digits}", CultureInfo.InvariantCulture))
        .First(text => (this with { Value = double.Parse(text, CultureInfo.InvariantCulture) }).Met == Met);

    /// <summary>The same for readers, as an item of a Markdown list.</summary>
    public string ListItem => string.Create(CultureInfo.InvariantCulture,
        $"- `{Name}` {Shown}, goal {(AtMost ? "at most" : "at least")} {Bound:G3}: {(Met ? "met" : "**missed**")}");

    public static Goal Most(string name, double value, double bound) => new(name, value, true, bound);

    public static Goal Least(string name, double value, double bound) => new(name, value, false, bound);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"RESULT {Name} {Shown} goal {(AtMost ? "<=" : ">=")} {Bound:G3} {(Met ? "met" : "missed")}");
}
