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
            Prompts = new PromptField(body, model, limits, "prompt").Read(),
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
}
