using System.Collections.Immutable;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>The next piece of one choice's answer.</summary>
/// <param name="Finish">Set on the last piece of the choice.</param>
internal sealed record ChoiceDelta(int Choice, string Text, ImmutableArray<ScoredToken> Scores, FinishReason? Finish)
{
    /// <summary>A piece of no choice, for those who want to know that the answer is still being worked on.</summary>
    public static readonly ChoiceDelta Empty = new(0, "", [], null);

    public bool IsEmpty => ReferenceEquals(this, Empty);

    /// <summary>This piece and the next of the same choice as one.</summary>
    public ChoiceDelta Then(ChoiceDelta next) => next with { Text = Text + next.Text, Scores = [.. Scores, .. next.Scores] };
}

/// <summary>A token with its scores, in text.</summary>
/// <param name="LogProb">Null for the first token of a prompt, which nothing precedes.</param>
/// <param name="Offset">Where its text begins in the answer, in characters.</param>
internal sealed record ScoredToken(TokenText Token, float? LogProb, ImmutableArray<ScoredAlternative> Top, int Offset);

internal sealed record ScoredAlternative(TokenText Token, float LogProb);

/// <summary>The bytes of a token, and as much of them as is text.</summary>
/// <param name="IsSpecial">It stands for no text.</param>
internal sealed record TokenText(int Id, string Text, ImmutableArray<byte> Bytes, bool IsSpecial);

/// <summary>Tokens read and written for a request. The end token is not counted.</summary>
/// <param name="CachedTokens">Prompt tokens that were known already and not read again.</param>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int CachedTokens = 0);
