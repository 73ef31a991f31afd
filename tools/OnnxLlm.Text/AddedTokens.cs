using System.Buffers;

namespace OnnxLlm.Text;

/// <summary>A token that stands outside BPE: found in text as a whole, never split and never merged.</summary>
/// <param name="Id">Its place in the vocabulary.</param>
/// <param name="Content">Its spelling in text.</param>
/// <param name="Special">A control token: found only where the caller allows it, and left out of decoded text.</param>
internal sealed record AddedToken(int Id, string Content, bool Special)
{
    /// <summary>Blanks before it belong to it, as to a mask: what it stands for is a word with the blank that it begins with. Files say <c>lstrip</c>.</summary>
    public bool TakesBlanks { get; init; }
}

/// <summary>Finds added tokens in text: the leftmost, and of those that start there the longest.</summary>
internal sealed class AddedTokens
{
    private readonly AddedToken[] _longestFirst;
    private readonly SearchValues<string> _contents;

    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        _longestFirst = [.. tokens.OrderBy(t => t.Id).OrderByDescending(t => t.Content.Length)];
        _contents = SearchValues.Create([.. _longestFirst.Select(t => t.Content)], StringComparison.Ordinal);
    }

    /// <summary>The next added token at or after <paramref name="start"/>, or null.</summary>
    public AddedToken? Find(string text, int start, out int position)
    {
        position = -1;
        int offset = _longestFirst.Length == 0 ? -1 : text.AsSpan(start).IndexOfAny(_contents);
        if (offset < 0)
            return null;
        int found = position = start + offset;
        return Array.Find(_longestFirst, t => text.AsSpan(found).StartsWith(t.Content, StringComparison.Ordinal));
    }
}
