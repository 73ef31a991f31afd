using System.Globalization;
using System.Text;

namespace OnnxLlm.Text.Bpe;

/// <summary>
/// Cuts UTF-8 text into the pieces that BPE never merges across, exactly as GPT-2's pattern does:
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>.
/// Bytes that are not valid UTF-8 count as neither letter, number nor white space. The pieces together are the text.
/// </summary>
internal ref struct Pieces(ReadOnlySpan<byte> text)
{
    private enum Kind : byte { Other, Letter, Number, Space }

    private static readonly Kind[] AsciiKinds = [.. Enumerable.Range(0, 128).Select(c => KindOf(new Rune(c)))];

    private readonly ReadOnlySpan<byte> _text = text;
    private int _start;
    private int _end;

    public readonly ReadOnlySpan<byte> Current => _text[_start.._end];

    public readonly Pieces GetEnumerator() => this;

    public bool MoveNext()
    {
        _start = _end;
        if (_start == _text.Length)
            return false;
        _end = ContractionEnd(_start);
        if (_end == _start)
            _end = RunEnd(_start);
        return true;
    }

    private readonly int ContractionEnd(int start)
    {
        if (_text[start] != '\'')
            return start;
        var rest = _text[(start + 1)..];
        if (rest.StartsWith("re"u8) || rest.StartsWith("ve"u8) || rest.StartsWith("ll"u8))
            return start + 3;
        return rest is [(byte)'s' or (byte)'t' or (byte)'m' or (byte)'d', ..] ? start + 2 : start;
    }

    /// <summary>The end of a run of letters, of numbers or of other signs with at most one space before it, or of white space.</summary>
    private readonly int RunEnd(int start)
    {
        var kind = KindAt(start, out int length);
        int end = start + length;
        if (_text[start] == ' ' && end < _text.Length && KindAt(end, out length) is var next && next != Kind.Space)
        {
            kind = next;
            end += length;
        }
        return kind == Kind.Space ? SpaceEnd(start) : End(end, kind);
    }

    private readonly int End(int position, Kind kind)
    {
        while (position < _text.Length && KindAt(position, out int length) == kind)
            position += length;
        return position;
    }

    /// <summary>White space before a word leaves its last character to the word: <c>\s+(?!\S)|\s+</c>.</summary>
    private readonly int SpaceEnd(int start)
    {
        int end = start, last = start;
        while (end < _text.Length && KindAt(end, out int length) == Kind.Space)
        {
            last = end;
            end += length;
        }
        return end == _text.Length || last == start ? end : last;
    }

    private readonly Kind KindAt(int position, out int length)
    {
        length = 1;
        byte first = _text[position];
        if (first < 128)
            return AsciiKinds[first];
        Rune.DecodeFromUtf8(_text[position..], out var rune, out length);
        return KindOf(rune);   // an invalid byte decodes to U+FFFD, which is Other
    }

    private static Kind KindOf(Rune rune)
    {
        if (Rune.IsWhiteSpace(rune))
            return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
