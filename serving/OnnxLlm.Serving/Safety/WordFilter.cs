using System.Text.RegularExpressions;

namespace OnnxLlm.Serving.Safety;

/// <summary>A category of words and patterns that block a text. Whatever the patterns, looking takes time linear in the text.</summary>
internal sealed class WordFilter : IGuardrail
{
    private readonly Regex _pattern;
    private readonly string _category;
    private readonly TextSide? _only;

    /// <param name="words">Whole words, in whatever case; in scripts without spaces, anywhere.</param>
    /// <param name="patterns">Regular expressions without looking around or back.</param>
    /// <param name="only">The side that it looks at; null for both.</param>
    /// <exception cref="ServingException">A pattern is not one.</exception>
    public WordFilter(string category, IEnumerable<string> words, IEnumerable<string> patterns, TextSide? only = null)
    {
        (_category, _only) = (category, only);
        string[] all = [.. words.Select(Word), .. patterns.Select(pattern => $"(?:{pattern})")];
        if (all.Length == 0) throw new ServingException($"The category '{category}' has neither words nor patterns.");
        try
        {
            _pattern = new Regex(string.Join('|', all), RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (Exception mistake) when (mistake is ArgumentException or NotSupportedException)
        {
            throw new ServingException($"A pattern of the category '{category}' cannot be used: {mistake.Message}", mistake);
        }
    }

    public IReadOnlyList<string> Categories => [_category];

    public IEnumerable<Finding> Inspect(string text, TextSide side) => _only is { } only && only != side
        ? []
        : _pattern.Matches(text).Where(match => match.Length > 0).Select(match => new Finding(match.Index, match.Index + match.Length, _category, null));

    private static string Word(string word) => $"{Edge(word[0])}{Regex.Escape(word)}{Edge(word[^1])}";

    /// <summary>A word begins and ends at a border, except in scripts that have none between words.</summary>
    private static string Edge(char character) => character < 0x2E80 && char.IsLetterOrDigit(character) ? @"\b" : "";
}
