using System.Text;
using System.Text.RegularExpressions;

namespace OnnxLlm.Tools.Evaluation.Texts;

/// <summary>How a line is cut into words before it is compared.</summary>
internal enum ScoreTokenization
{
    /// <summary>As NIST's mteval-v13a and WMT: punctuation is separated, but not inside numbers.</summary>
    Mteval13a,

    /// <summary>Every Chinese character is a word; the rest as <see cref="Mteval13a"/>.</summary>
    Zh,

    /// <summary>Every character is a word.</summary>
    Char,

    /// <summary>Words are what lies between spaces.</summary>
    None,
}

/// <summary>Cuts lines for BLEU as sacrebleu does, and for ROUGE as Google's rouge_score does, so that scores can be compared with published ones.</summary>
internal static partial class ScoreTokens
{
    /// <summary>
    /// The characters that sacrebleu's <c>zh</c> separates, with its quirk: two of its ranges were meant for characters beyond the basic plane,
    /// but name U+2001–2A6D (curly quotes, arrows, box drawing) and U+2F81–2FA1.
    /// </summary>
    private static readonly (char First, char Last)[] Chinese =
    [
        ('\u3400', '\u4db5'), ('\u4e00', '\u9fbb'), ('\uf900', '\ufa2d'), ('\ufa30', '\ufa6a'), ('\ufa70', '\ufad9'), ('\u2001', '\u2a6d'), ('\u2f81', '\u2fa1'),
        ('\uff00', '\uffef'), ('\u2e80', '\u2eff'), ('\u3000', '\u303f'), ('\u31c0', '\u31ef'), ('\u2f00', '\u2fdf'), ('\u2ff0', '\u2fff'), ('\u3100', '\u312f'),
        ('\u31a0', '\u31bf'), ('\ufe10', '\ufe1f'), ('\ufe30', '\ufe4f'), ('\u2600', '\u26ff'), ('\u2700', '\u27bf'), ('\u3200', '\u32ff'), ('\u3300', '\u33ff'),
    ];

    public static string[] ForBleu(string line, ScoreTokenization tokenization) => tokenization switch
    {
        ScoreTokenization.Mteval13a => Separate($" {Unescape(line.TrimEnd())} "),
        ScoreTokenization.Zh => Separate(Spaced(line.Trim())),
        ScoreTokenization.Char => [.. line.TrimEnd().EnumerateRunes().Where(rune => !Rune.IsWhiteSpace(rune)).Select(rune => rune.ToString())],
        _ => Words(line),
    };

    /// <summary>Runs of Latin letters and digits in lower case; with <paramref name="chinese"/>, every Chinese character too.</summary>
    public static string[] ForRouge(string line, bool chinese) =>
        [.. (chinese ? LatinOrChinese() : Latin()).Matches(line.ToLowerInvariant()).Select(match => match.Value)];

    private static string[] Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    private static string Spaced(string line) => string.Concat(line.Select(c => Chinese.Any(range => range.First <= c && c <= range.Last) ? $" {c} " : c.ToString()));

    private static string Unescape(string line)
    {
        line = line.Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal).Replace('\n', ' ');
        return line.Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);
    }

    private static string[] Separate(string line)
    {
        line = Punctuation().Replace(line, " $1 ");
        line = AfterNoDigit().Replace(line, "$1 $2 ");
        line = BeforeNoDigit().Replace(line, " $1 $2");
        return Words(DashAfterDigit().Replace(line, "$1 $2 "));
    }

    /// <summary>ASCII punctuation except the apostrophe, the comma, the dash and the full stop.</summary>
    [GeneratedRegex(@"([\x20-\x26\x28-\x2b\x2f\x3a-\x40\x5b-\x60\x7b-\x7e])")]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"([^0-9])([.,])")]
    private static partial Regex AfterNoDigit();

    [GeneratedRegex(@"([.,])([^0-9])")]
    private static partial Regex BeforeNoDigit();

    [GeneratedRegex(@"([0-9])(-)")]
    private static partial Regex DashAfterDigit();

    [GeneratedRegex("[a-z0-9]+")]
    private static partial Regex Latin();

    [GeneratedRegex("[\u3400-\u4db5\u4e00-\u9fbb]|[a-z0-9]+")]
    private static partial Regex LatinOrChinese();
}
