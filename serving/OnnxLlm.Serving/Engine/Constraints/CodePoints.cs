using System.Collections.Immutable;
using System.Text;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>A set of Unicode scalar values as ascending ranges that do not touch.</summary>
internal sealed class CodePoints
{
    private const int FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF, Last = 0x10FFFF;

    /// <summary>Last code points that UTF-8 writes in one, two, three and four bytes.</summary>
    private static readonly int[] LengthEnds = [0x7F, 0x7FF, 0xFFFF, Last];

    private CodePoints(ImmutableArray<(int Low, int High)> ranges) => Ranges = ranges;

    public static CodePoints All { get; } = Of((0, Last));

    public ImmutableArray<(int Low, int High)> Ranges { get; }

    public static CodePoints Of(params IEnumerable<(int Low, int High)> ranges)
    {
        var merged = new List<(int Low, int High)>();
        foreach (var (low, high) in ranges.SelectMany(WithoutSurrogates).OrderBy(range => range.Low))
            if (merged.Count > 0 && low <= merged[^1].High + 1) merged[^1] = (merged[^1].Low, Math.Max(merged[^1].High, high));
            else merged.Add((low, high));
        return new([.. merged]);
    }

    public CodePoints Union(CodePoints other) => Of([.. Ranges, .. other.Ranges]);

    public CodePoints Complement()
    {
        var gaps = new List<(int, int)>();
        var next = 0;
        foreach (var (low, high) in Ranges)
        {
            if (low > next) gaps.Add((next, low - 1));
            next = high + 1;
        }

        if (next <= Last) gaps.Add((next, Last));
        return Of(gaps);
    }

    public CodePoints Except(CodePoints other) => Complement().Union(other).Complement();

    public bool Contains(int codePoint) => Ranges.Any(range => codePoint >= range.Low && codePoint <= range.High);

    /// <summary>One of them in UTF-8.</summary>
    public Pattern ToUtf8() => Pattern.Either([.. Ranges.SelectMany(OfOneLength).SelectMany(range => Bytes(Encode(range.Low), Encode(range.High)))]);

    private static IEnumerable<(int Low, int High)> WithoutSurrogates((int Low, int High) range)
    {
        if (range.Low < FirstSurrogate) yield return (range.Low, Math.Min(range.High, FirstSurrogate - 1));
        if (range.High > LastSurrogate) yield return (Math.Max(range.Low, LastSurrogate + 1), range.High);
    }

    private static IEnumerable<(int Low, int High)> OfOneLength((int Low, int High) range)
    {
        foreach (var end in LengthEnds)
        {
            if (range.Low > end) continue;
            yield return (range.Low, Math.Min(range.High, end));
            if (range.High <= end) yield break;
            range = (end + 1, range.High);
        }
    }

    /// <summary>Byte sequences from low to high, both of one length, as products of byte ranges.</summary>
    private static IEnumerable<Pattern> Bytes(ReadOnlyMemory<byte> low, ReadOnlyMemory<byte> high)
    {
        var (first, last) = (low.Span[0], high.Span[0]);
        if (low.Length == 1) return [new BytePattern(first, last)];
        if (first == last) return Bytes(low[1..], high[1..]).Select(rest => Pattern.Sequence(new BytePattern(first, first), rest));
        var (lowest, highest) = (Continued(low.Length - 1, 0x80), Continued(low.Length - 1, 0xBF));
        var parts = new List<Pattern>();
        if (!low[1..].Span.SequenceEqual(lowest.Span)) parts.AddRange(Bytes(low[1..], highest).Select(rest => Pattern.Sequence(new BytePattern(first, first), rest)));
        else first--;
        var highEnd = high[1..].Span.SequenceEqual(highest.Span) ? last : last - 1;
        if (first + 1 <= highEnd) parts.AddRange(Bytes(lowest, highest).Select(rest => Pattern.Sequence(new BytePattern((byte)(first + 1), (byte)highEnd), rest)));
        if (highEnd != last) parts.AddRange(Bytes(lowest, high[1..]).Select(rest => Pattern.Sequence(new BytePattern(last, last), rest)));
        return parts;
    }

    private static ReadOnlyMemory<byte> Continued(int length, byte value) => Enumerable.Repeat(value, length).ToArray();

    private static ReadOnlyMemory<byte> Encode(int codePoint) => Encoding.UTF8.GetBytes(char.ConvertFromUtf32(codePoint));
}
