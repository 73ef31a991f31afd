using System.Collections.Immutable;
using System.Text.Json;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the body of <c>/v1/completions</c>.</summary>
internal sealed class CompletionParser(RequestBody body, ServedModel model, RequestLimits limits)
{
    private const int DefaultMaxTokens = 16;

    public GenerationRequest Read(GenerationRequest shared)
    {
        var echo = body.Flag("echo") ?? false;
        var maxTokens = MaxTokens(echo);
        RefuseWhatIsMissing(shared.Choices);
        return shared with
        {
            Prompts = Prompts(),
            MaxTokens = maxTokens ?? DefaultMaxTokens,
            MaxTokensIsFirm = maxTokens is not null,
            Echo = echo,
            Alternatives = body.Integer("logprobs", 0, limits.Alternatives),
        };
    }

    private void RefuseWhatIsMissing(int choices)
    {
        if (body.Text("suffix") is { Length: > 0 }) body.Refuse(ApiError.Unsupported("suffix", "text is only generated at the end."));
        if (body.Integer("best_of", 0, int.MaxValue) is { } best && best > choices)
            body.Refuse(ApiError.Unsupported("best_of", "every answer that is generated is returned; use 'n'."));
    }

    private int? MaxTokens(bool echo)
    {
        var max = body.Integer("max_tokens", 0, int.MaxValue);
        if (max == 0 && !echo) body.Refuse("max_tokens", "'max_tokens' may be 0 only together with 'echo'.");
        return max;
    }

    private ImmutableArray<ImmutableArray<int>> Prompts()
    {
        if (body.Element("prompt") is not { } prompt) return [Beginning()];
        if (prompt.ValueKind == JsonValueKind.String) return [Tokens(prompt)];
        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0) return Refuse();
        if (prompt[0].ValueKind == JsonValueKind.Number) return [Ids(prompt)];
        if (prompt.GetArrayLength() > limits.Sequences)
        {
            body.Refuse("prompt", $"'prompt' may have at most {limits.Sequences} prompts.");
            return [];
        }

        return [.. prompt.EnumerateArray().Select(Tokens)];
    }

    private ImmutableArray<int> Tokens(JsonElement prompt)
    {
        if (prompt.ValueKind == JsonValueKind.Array) return Ids(prompt);
        if (prompt.ValueKind != JsonValueKind.String) Refuse();
        var text = prompt.ValueKind == JsonValueKind.String ? body.Text("prompt", prompt) : null;
        return string.IsNullOrEmpty(text) ? Beginning() : [.. model.Tokenizer.EncodePrompt(text)];
    }

    private ImmutableArray<int> Ids(JsonElement ids)
    {
        if (ids.GetArrayLength() == 0) return Beginning();
        if (ids.GetArrayLength() <= model.Context)
            return [.. ids.EnumerateArray().Select(id => body.Integer("prompt", id, 0, model.VocabularySize - 1) ?? 0)];
        body.Refuse(ApiError.ContextLength($"The prompt has {ids.GetArrayLength()} tokens; the context holds {model.Context}."));
        return [];
    }

    /// <summary>An empty prompt is the start of a document.</summary>
    private ImmutableArray<int> Beginning()
    {
        if (model.BeginToken is { } begin) return [begin];
        body.Refuse("prompt", "'prompt' is empty, and this model has no token that begins a document.");
        return [];
    }

    private ImmutableArray<ImmutableArray<int>> Refuse()
    {
        body.Refuse("prompt", "'prompt' must be a string, an array of strings, an array of token ids, or an array of arrays of token ids.");
        return [];
    }
}
