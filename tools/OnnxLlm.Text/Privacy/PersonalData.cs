using System.Net;
using System.Text.RegularExpressions;

namespace OnnxLlm.Text.Privacy;

/// <summary>A piece of personal data in a text.</summary>
/// <param name="Kind">email, phone, ip_address, payment_card or id_number.</param>
public readonly record struct PersonalDatum(int Start, int Length, string Kind)
{
    public int End => Start + Length;
}

/// <summary>
/// Finds what identifies people: mail addresses, telephone and payment card numbers, addresses of machines, identity numbers of the People's Republic of China.
/// Numbers with a checksum count only if it is right, so that ordinary numbers are left alone.
/// </summary>
public static partial class PersonalData
{
    public static IReadOnlyList<string> Kinds { get; } = ["email", "phone", "ip_address", "payment_card", "id_number"];

    /// <summary>What a kind is replaced by, as in <c>[EMAIL]</c>.</summary>
    public static string Mask(string kind) => $"[{kind.ToUpperInvariant()}]";

    /// <summary>In the order of the text; none overlaps another.</summary>
    public static IReadOnlyList<PersonalDatum> Find(string text)
    {
        var found = new List<PersonalDatum>();
        Add(found, Email().Matches(text), "email", _ => true);
        Add(found, Address().Matches(text), "ip_address", match => IPAddress.TryParse(match, out _));
        Add(found, IdNumber().Matches(text), "id_number", IsIdNumber);
        Add(found, Card().Matches(text), "payment_card", IsCard);
        Add(found, Phone().Matches(text), "phone", IsPhone);
        return [.. found.OrderBy(datum => datum.Start)];
    }

    /// <summary>The text with every piece of personal data replaced by its mask.</summary>
    public static string Replace(string text)
    {
        var (result, at) = (new System.Text.StringBuilder(), 0);
        foreach (var datum in Find(text))
        {
            result.Append(text, at, datum.Start - at).Append(Mask(datum.Kind));
            at = datum.End;
        }

        return result.Append(text, at, text.Length - at).ToString();
    }

    /// <summary>The kinds that are surer come first, and keep what they have found.</summary>
    private static void Add(List<PersonalDatum> found, MatchCollection matches, string kind, Func<string, bool> isOne)
    {
        foreach (var match in matches.Where(match => isOne(match.Value)))
        {
            var datum = new PersonalDatum(match.Index, match.Length, kind);
            if (found.All(other => other.End <= datum.Start || datum.End <= other.Start)) found.Add(datum);
        }
    }

    /// <summary>ISO/IEC 7812: doubled every second digit from the right, the sum of digits is a multiple of ten.</summary>
    private static bool IsCard(string text)
    {
        int[] digits = [.. text.Where(char.IsAsciiDigit).Select(digit => digit - '0').Reverse()];
        var sum = digits.Select((digit, i) => i % 2 == 0 ? digit : (2 * digit / 10) + (2 * digit % 10)).Sum();
        return digits.Length is >= 13 and <= 19 && digits.Distinct().Count() > 1 && sum % 10 == 0;
    }

    /// <summary>GB 11643: 17 digits with a date of birth in them, and a check character, ISO 7064 MOD 11-2.</summary>
    private static bool IsIdNumber(string text)
    {
        const string Checks = "10X98765432";
        int[] weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        var sum = weights.Select((weight, i) => weight * (text[i] - '0')).Sum();
        var (month, day) = (Number(10), Number(12));
        return month is >= 1 and <= 12 && day is >= 1 and <= 31 && Checks[sum % 11] == char.ToUpperInvariant(text[17]);

        int Number(int at) => (10 * (text[at] - '0')) + text[at + 1] - '0';
    }

    /// <summary>International numbers, and national ones in groups: a bare row of digits is not enough.</summary>
    private static bool IsPhone(string text)
    {
        var digits = text.Count(char.IsAsciiDigit);
        return text[0] == '+' ? digits is >= 8 and <= 15 : digits is 10 or 11;
    }

    [GeneratedRegex(@"(?<![A-Za-z0-9._%+-])[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")]
    private static partial Regex Email();

    [GeneratedRegex(@"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])")]
    private static partial Regex Address();

    [GeneratedRegex(@"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{9}[\dXx](?!\d)")]
    private static partial Regex IdNumber();

    [GeneratedRegex(@"(?<![\d-])\d(?:[ -]?\d){12,18}(?![ -]?\d)")]
    private static partial Regex Card();

    [GeneratedRegex(@"(?<![A-Za-z0-9+.,-])(?:\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}|1[3-9]\d{9})(?![A-Za-z0-9-])")]
    private static partial Regex Phone();
}
