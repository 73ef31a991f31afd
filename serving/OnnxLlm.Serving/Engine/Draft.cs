namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Guesses how a sequence goes on: as it went on where its last tokens stood before. Answers repeat their prompts and themselves, and a forward pass
/// over several tokens of one sequence takes less time than one pass for each. It owns how long the next guess is; it decides no token.
/// </summary>
internal sealed class Draft
{
    private const int LongestMatch = 4, ShortestMatch = 2, LongestPause = 32;

    private readonly int _longest;
    private int _length;
    private int _pause;
    private int _nextPause = 1;

    /// <param name="longest">Tokens of a guess, at most.</param>
    public Draft(int longest) => _longest = _length = longest;

    /// <summary>The tokens that followed the last place where the text ended as it ends now; none where it never did, or after guesses that were wrong.</summary>
    public int[] Propose(ReadOnlySpan<int> tokens, int room)
    {
        if (_pause > 0)
        {
            _pause--;
            return [];
        }

        return [.. Continuation(tokens, Math.Min(_length, room))];
    }

    /// <summary>Guesses grow while they are right and get shorter, then rarer, while they are wrong.</summary>
    public void Learn(int proposed, int accepted)
    {
        _length = Math.Clamp(accepted == proposed ? 2 * proposed : accepted + 1, 1, _longest);
        if (accepted > 0)
        {
            _nextPause = 1;
            return;
        }

        _pause = _nextPause;
        _nextPause = Math.Min(2 * _nextPause, LongestPause);
    }

    private static ReadOnlySpan<int> Continuation(ReadOnlySpan<int> tokens, int count)
    {
        if (count < 1) return [];
        for (var match = Math.Min(LongestMatch, tokens.Length - 1); match >= ShortestMatch; match--)
        {
            var place = tokens[..^1].LastIndexOf(tokens[^match..]);
            if (place >= 0) return tokens.Slice(place + match, Math.Min(count, tokens.Length - place - match));
        }

        return [];
    }
}
