using System.Collections.Immutable;

namespace OnnxLlm.Serving.Engine;

internal enum FinishReason
{
    /// <summary>An end token, or the end of what the answer must look like.</summary>
    Stop,

    /// <summary>As many tokens as asked for, or the context is full.</summary>
    Length,

    /// <summary>What came may not be shown. The engine itself never says so.</summary>
    Filtered,

    /// <summary>A stop sequence came in the text. The engine itself never says so either.</summary>
    StopSequence,
}

/// <summary>What a sequence tells its request. Exactly one <see cref="SequenceFinished"/> or <see cref="SequenceFailed"/> comes last, unless it was cancelled.</summary>
internal abstract record SequenceEvent(int Choice);

/// <summary>A token of the answer, or of the prompt when its scores were asked for.</summary>
internal readonly record struct GeneratedToken(int Token, TokenScore? Score, bool IsPrompt = false);

/// <summary>Tokens of one sequence that left the engine together, in order; at least one.</summary>
internal sealed record TokensGenerated(int Choice, ImmutableArray<GeneratedToken> Tokens) : SequenceEvent(Choice);

internal sealed record SequenceFinished(int Choice, FinishReason Reason) : SequenceEvent(Choice);

internal sealed record SequenceFailed(int Choice, Exception Fault) : SequenceEvent(Choice);

/// <summary>Natural logarithms of probabilities of the model itself, before penalties and temperature.</summary>
/// <param name="LogProb">Of the chosen token.</param>
/// <param name="Top">The best tokens, descending, ties by token.</param>
internal sealed record TokenScore(float LogProb, ImmutableArray<TokenLogProb> Top);

internal readonly record struct TokenLogProb(int Token, float LogProb);

/// <summary>Nothing has happened yet. It never comes from the engine.</summary>
internal sealed record NothingHappened() : SequenceEvent(0);
