using System.Numerics;

namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>
/// One answer that obeys a constraint. It says which tokens may come next; when the tokens that are left grow few, only such with which the text can
/// still be completed: every byte is a token, so what takes n bytes takes n tokens at most.
/// </summary>
internal sealed class ConstrainedText(Constraint constraint)
{
    /// <summary>No token is longer, so with so many more tokens than bytes needed none can lead too far.</summary>
    private const int Slack = 128;

    private Position _position = constraint.Start;

    /// <summary>The text is complete and nothing can follow.</summary>
    public bool IsOver => _position.IsOnlyEnd;

    /// <summary>The text may end here.</summary>
    public bool MayEnd => _position.IsEnd;

    public void Append(int token) => _position = constraint.After(_position, token)
        ?? throw new ServingException($"The token {token} is not allowed by the constraint.");

    /// <summary>Lowers the scores of what may not follow to −∞. End tokens are left as they are where the text may end.</summary>
    /// <param name="tokensLeft">Tokens that the answer may still have.</param>
    /// <param name="ends">Tokens that end the answer.</param>
    public void Apply(Span<float> scores, int tokensLeft, ReadOnlySpan<int> ends)
    {
        Span<float> kept = stackalloc float[ends.Length];
        for (var i = 0; i < ends.Length; i++) kept[i] = scores[ends[i]];
        Forbid(scores, constraint.Mask(_position));
        var tight = tokensLeft - 1;
        if (_position.Distance + Slack > tight && _position.Distance <= tokensLeft) KeepCompletable(scores, tight);
        if (MayEnd)
            for (var i = 0; i < ends.Length; i++) scores[ends[i]] = kept[i];
    }

    private static void Forbid(Span<float> scores, ulong[] allowed)
    {
        for (var word = 0; word << 6 < scores.Length; word++)
        {
            var forbidden = word < allowed.Length ? ~allowed[word] : ulong.MaxValue;
            for (; forbidden != 0; forbidden &= forbidden - 1)
            {
                var token = (word << 6) + BitOperations.TrailingZeroCount(forbidden);
                if (token < scores.Length) scores[token] = float.NegativeInfinity;
            }
        }
    }

    private void KeepCompletable(Span<float> scores, int tokensLeft)
    {
        for (var token = 0; token < scores.Length; token++)
            if (!float.IsNegativeInfinity(scores[token]) && (constraint.After(_position, token)?.Distance ?? int.MaxValue) > tokensLeft)
                scores[token] = float.NegativeInfinity;
    }
}
