using System.Globalization;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// Reads a regular expression: literals, <c>.</c>, classes, <c>\d \w \s</c> and their opposites, groups, alternatives and counts. What is not
/// regular, or depends on where a match stands (backreferences, lookarounds, word boundaries), is refused.
/// </summary>
/// <param name="encode">How one character of a set is written: as UTF-8, or escaped inside a JSON string.</param>
internal sealed class RegexParser(string text, Func<CodePoints, Pattern> encode)
{
    private const int MostRepeats = 10_000;
    private const int DeepestGroup = 100;
    private const int MostCharacters = 1 << 14;

    private static readonly CodePoints Digits = CodePoints.Of(('0', '9'));
    private static readonly CodePoints Letters = CodePoints.Of(('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_'));
    private static readonly CodePoints Spaces = CodePoints.Of((' ', ' '), ('\t', '\r'));
    private static readonly CodePoints Lines = CodePoints.Of(('\n', '\n'), ('\r', '\r'));

    private int _at;
    private int _depth;

    /// <summary>The whole text must match.</summary>
    /// <exception cref="ConstraintException">The expression is malformed or uses what is not available.</exception>
    public Pattern ParseWhole() => Parse(anywhere: false);

    /// <summary>Some part of the text must match, unless ^ and $ say otherwise, as JSON Schema has it.</summary>
    /// <inheritdoc cref="ParseWhole"/>
    public Pattern ParseAnywhere() => Parse(anywhere: true);

    private Pattern Parse(bool anywhere)
    {
        if (text.Length > MostCharacters) throw new ConstraintException($"A regular expression may have at most {MostCharacters} characters.");
        var anything = Pattern.Repeat(encode(CodePoints.All), 0, null);
        var before = Take('^') || !anywhere ? Pattern.Nothing : anything;
        var body = Alternatives();
        if (_at < text.Length) throw Mistake($"unexpected '{text[_at]}'");
        return Pattern.Sequence(before, body, _endsAnchored || !anywhere ? Pattern.Nothing : anything);
    }

    private bool _endsAnchored;

    private Pattern Alternatives()
    {
        if (++_depth > DeepestGroup) throw Mistake("the groups are nested too deeply");
        var choices = new List<Pattern> { Row() };
        while (Take('|')) choices.Add(Row());
        if (choices.Count > 1 && _endsAnchored) throw Mistake("'$' and '^' are only possible around the whole expression; put the alternatives into a group");
        _depth--;
        return Pattern.Either([.. choices]);
    }

    private Pattern Row()
    {
        var parts = new List<Pattern>();
        while (_at < text.Length && text[_at] is not ('|' or ')'))
        {
            if (_at == text.Length - 1 && Take('$')) _endsAnchored = true;
            else parts.Add(Counted(Atom()));
        }

        return Pattern.Sequence([.. parts]);
    }

    private Pattern Counted(Pattern item)
    {
        if (_at == text.Length) return item;
        Pattern? counted = text[_at] switch
        {
            '*' => Pattern.Repeat(item, 0, null),
            '+' => Pattern.Repeat(item, 1, null),
            '?' => Pattern.Optional(item),
            _ => null,
        };
        if (counted is null && text[_at] != '{') return item;
        _at++;
        counted ??= Count(item);
        Take('?');                              // a lazy count allows the same texts
        if (_at < text.Length && text[_at] is '*' or '+' or '{') throw Mistake("nothing to repeat");
        return counted;
    }

    private Pattern Count(Pattern item)
    {
        var min = Number();
        int? max = min;
        if (Take(',')) max = _at < text.Length && text[_at] == '}' ? null : Number();
        Expect('}');
        if (max < min) throw Mistake("the smallest count is more than the largest");
        return Pattern.Repeat(item, min, max);
    }

    private int Number()
    {
        var from = _at;
        while (_at < text.Length && char.IsAsciiDigit(text[_at])) _at++;
        if (int.TryParse(text.AsSpan(from, _at - from), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MostRepeats) return number;
        throw Mistake($"a count from 0 to {MostRepeats} is expected");
    }

    private Pattern Atom()
    {
        if (Take('(')) return Group();
        if (Take('[')) return encode(Class());
        if (Take('.')) return encode(Lines.Complement());
        if (Take('\\')) return encode(Escape());
        if (text[_at] is '*' or '+' or '?' or '{') throw Mistake("nothing to repeat");
        if (text[_at] is '^' or '$') throw Mistake($"'{text[_at]}' is only possible around the whole expression");
        return encode(Single(Character()));
    }

    private Pattern Group()
    {
        if (Take('?') && !Take(':')) throw Mistake("only groups and (?:…) are available, no lookaround and no options");
        var inner = Alternatives();
        Expect(')');
        return inner;
    }

    private CodePoints Class()
    {
        var negated = Take('^');
        var ranges = new List<(int, int)>();
        for (var first = true; first || !Take(']'); first = false)
        {
            if (_at == text.Length) throw Mistake("']' is missing");
            ranges.AddRange(Member().Ranges);
        }

        var set = CodePoints.Of(ranges);
        return negated ? set.Complement() : set;
    }

    private CodePoints Member()
    {
        var low = Take('\\') ? Escape(inClass: true) : Single(Character());
        if (low.Ranges is not [var (from, to)] || from != to || _at + 1 >= text.Length || text[_at] != '-' || text[_at + 1] == ']') return low;
        _at++;
        var high = Take('\\') ? Escape(inClass: true) : Single(Character());
        if (high.Ranges is not [var (last, same)] || last != same || last < from) throw Mistake("a range must go from a character to a later one");
        return CodePoints.Of((from, last));
    }

    private CodePoints Escape(bool inClass = false)
    {
        if (_at == text.Length) throw Mistake("nothing follows '\\'");
        var escaped = text[_at++];
        return escaped switch
        {
            'd' => Digits,
            'D' => Digits.Complement(),
            'w' => Letters,
            'W' => Letters.Complement(),
            's' => Spaces,
            'S' => Spaces.Complement(),
            'n' => Single('\n'),
            'r' => Single('\r'),
            't' => Single('\t'),
            'f' => Single('\f'),
            'v' => Single('\v'),
            'b' when inClass => Single('\b'),
            'x' => Hex(2),
            'u' => Hex(4),
            _ when char.IsAsciiLetterOrDigit(escaped) => throw Mistake($"'\\{escaped}' is not available"),
            _ => Single(escaped),
        };
    }

    private CodePoints Hex(int digits)
    {
        var end = Math.Min(text.Length, _at + digits);
        if (end - _at < digits || !int.TryParse(text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)) throw Mistake($"{digits} hexadecimal digits are expected");
        _at = end;
        return Single(code);
    }

    private int Character()
    {
        var code = char.IsHighSurrogate(text[_at]) && _at + 1 < text.Length ? char.ConvertToUtf32(text, _at) : text[_at];
        _at += code > 0xFFFF ? 2 : 1;
        return code;
    }

    private static CodePoints Single(int code) => CodePoints.Of((code, code));

    private bool Take(char expected)
    {
        if (_at == text.Length || text[_at] != expected) return false;
        _at++;
        return true;
    }

    private void Expect(char expected)
    {
        if (!Take(expected)) throw Mistake($"'{expected}' is missing");
    }

    private ConstraintException Mistake(string what) => new($"The regular expression is not usable at character {_at + 1}: {what}.");
}
