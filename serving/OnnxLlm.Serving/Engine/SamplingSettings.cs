using System.Collections.Immutable;

namespace OnnxLlm.Serving.Engine;

/// <summary>How the next token of a sequence is chosen. The defaults change nothing: a draw from the model's own distribution.</summary>
internal sealed record SamplingSettings
{
    /// <summary>Below this the division would overflow and the draw is certain anyway.</summary>
    private const double LowestTemperature = 1e-5;

    public double Temperature { get; init; } = 1;

    /// <summary>Keep the k best tokens; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of best tokens whose probabilities reach this sum; at least one.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Keep tokens at least this fraction as probable as the best one.</summary>
    public double MinP { get; init; }

    /// <summary>Subtracted from the score of every token already generated.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Subtracted from the score once per time the token was generated.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Divides positive, multiplies negative scores of tokens in the prompt or the answer; 1 is off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Added to the scores, by token, in ascending order of token.</summary>
    public ImmutableArray<TokenBias> LogitBias { get; init; } = [];

    public ulong Seed { get; init; }

    public bool IsGreedy => Temperature < LowestTemperature;

    public bool HasPenalty => PresencePenalty != 0 || FrequencyPenalty != 0 || RepetitionPenalty != 1;

    public bool IsRestricted => TopK > 0 || TopP < 1 || MinP > 0;
}

internal readonly record struct TokenBias(int Token, float Bias);
