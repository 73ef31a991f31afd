using System.Text.RegularExpressions;

namespace OnnxLlm.Text.Filtering;

/// <summary>A category of words and patterns that a text is not to hold. Whatever the patterns, looking takes time linear in the text.</summary>
public sealed class ContentCategory
{
    private readonly Regex _pattern;

    /// <param name="name">What it is called.</param>
    /// <param name="words">Whole words, in whatever case; in scripts without spaces, anywhere.</param>
    /// <param name="patterns">Regular expressions without looking around or back.</param>
    /// <exception cref="TextException">A pattern is not one, or there is nothing to look for.</exception>
    public ContentCategory(string name, IEnumerable<string> words, IEnumerable<string> patterns)
    {
        Name = name;
        string[] all = [.. words.Select(Word), .. patterns.Select(pattern => $"(?:{pattern})")];
        if (all.Length == 0) throw new TextException($"The category '{name}' has neither words nor patterns.");
        try
        {
            _pattern = new Regex(string.Join('|', all), RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (Exception mistake) when (mistake is ArgumentException or NotSupportedException)
        {
            throw new TextException($"A pattern of the category '{name}' cannot be used: {mistake.Message}", mistake);
        }
    }

    public string Name { get; }

    /// <summary>Whether it is kept out of what a model is asked.</summary>
    public bool InPrompts { get; init; } = true;

    /// <summary>Whether it is kept out of what a model answers.</summary>
    public bool InAnswers { get; init; } = true;

    /// <summary>Where a text holds something of it, in order.</summary>
    public IEnumerable<(int Start, int End)> Find(string text) =>
        _pattern.Matches(text).Where(match => match.Length > 0).Select(match => (match.Index, match.Index + match.Length));

    private static string Word(string word) => $"{Edge(word[0])}{Regex.Escape(word)}{Edge(word[^1])}";

    /// <summary>A word begins and ends at a border, except in scripts that have none between words.</summary>
    private static string Edge(char character) => character < 0x2E80 && char.IsLetterOrDigit(character) ? @"\b" : "";
}
