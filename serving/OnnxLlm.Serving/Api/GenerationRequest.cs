using System.Collections.Immutable;
using System.Text.Json.Serialization;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// What a client asks for, once understood: the same for both routes. Its JSON form, without what is ignored there, is the key of
/// the response cache, so every property that can change the answer is part of it by being a property.
/// </summary>
internal sealed record GenerationRequest
{
    /// <summary>Token ids, one list per prompt.</summary>
    public required ImmutableArray<ImmutableArray<int>> Prompts { get; init; }

    /// <summary>Answers per prompt.</summary>
    public int Choices { get; init; } = 1;

    public required SamplingSettings Sampling { get; init; }

    /// <summary>Tokens of an answer, at most; clipped to what fits unless the client asked for them.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    [JsonIgnore]
    public bool MaxTokensIsFirm { get; init; }

    public int MinTokens { get; init; }

    public ImmutableArray<int> EndTokens { get; init; } = [];

    public ImmutableArray<string> Stop { get; init; } = [];

    public bool SkipSpecialTokens { get; init; } = true;

    /// <summary>The answer begins with the prompt.</summary>
    public bool Echo { get; init; }

    /// <summary>Alternatives scored with each token; null for no scores.</summary>
    public int? Alternatives { get; init; }

    /// <summary>What the answer must look like.</summary>
    public ConstraintSpec? Format { get; init; }

    /// <summary>It may call functions.</summary>
    [JsonIgnore]
    public bool MayCall => Format?.Kind == ConstraintKind.Calls;

    /// <summary>What it must look like, compiled.</summary>
    [JsonIgnore]
    public Constraint? Constraint { get; init; }

    /// <summary>Separates cache entries of clients that must not learn of each other.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>How far behind the caller's others this one may be put: 0 for not at all.</summary>
    [JsonIgnore]
    public int Delay { get; init; }

    /// <summary>The answer is a function of the request: greedy, or with a seed of the client's own.</summary>
    [JsonIgnore]
    public bool IsDeterministic { get; init; }

    [JsonIgnore]
    public bool Stream { get; init; }

    [JsonIgnore]
    public bool IncludeUsage { get; init; }

    [JsonIgnore]
    public bool ScoresPrompt => Echo && Alternatives is not null;

    [JsonIgnore]
    public int PromptTokens => Prompts.Sum(prompt => prompt.Length);

    /// <summary>An encoder reads the prompt, which takes no positions of the answer.</summary>
    [JsonIgnore]
    public bool IsReadApart { get; init; }

    /// <summary>The longest answer to a prompt.</summary>
    /// <param name="context">Positions a sequence may have.</param>
    public int AnswerTokens(ImmutableArray<int> prompt, int context) => Math.Min(MaxTokens, IsReadApart ? context : context - prompt.Length);

    /// <summary>What does not fit together, or not into this server; null if all is well.</summary>
    public ApiError? Misfit(int context, RequestLimits limits)
    {
        if (Prompts.Length * Choices > limits.Sequences)
            return ApiError.Invalid("n", $"The request asks for {Prompts.Length * Choices} answers; at most {limits.Sequences} are possible at once.");
        if (MinTokens > MaxTokens) return ApiError.Invalid("min_tokens", "'min_tokens' is more than the answer may have.");
        var needed = MaxTokensIsFirm ? MaxTokens : 1;
        var longest = Prompts.Max(prompt => prompt.Length);
        if ((long)longest + needed > context) return ApiError.ContextLength($"The context holds {context} tokens; the prompt has {longest} and the answer needs {needed}.");
        return Scores(context) <= limits.Scores ? null
            : ApiError.Invalid("logprobs", $"The answers could come with {Scores(context)} log probabilities; at most {limits.Scores} are possible. Send fewer prompts, or ask for fewer tokens, answers or alternatives.");
    }

    /// <summary>Log probabilities that the answers come with, at most.</summary>
    private long Scores(int context) => Alternatives is { } alternatives
        ? (1L + alternatives) * Choices * Prompts.Sum(prompt => (Echo ? prompt.Length : 0L) + AnswerTokens(prompt, context))
        : 0;
}
