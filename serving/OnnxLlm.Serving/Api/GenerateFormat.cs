using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>The answer to Triton's <c>generate</c>: the text, and with <c>details</c> why it ended and how likely its tokens were.</summary>
internal static class GenerateFormat
{
    public static JsonObject Write(string model, string text, ImmutableArray<ScoredToken>? scores, FinishReason? finish)
    {
        var answer = new JsonObject { ["model_name"] = model, ["model_version"] = "1", ["text_output"] = text };
        if (scores is { } some) answer["details"] = new JsonObject { ["finish_reason"] = Word(finish), ["logprobs"] = new JsonArray([.. some.Select(Token)]) };
        return answer;
    }

    private static JsonObject Token(ScoredToken score) => new() { ["text"] = score.Token.Text, ["logprob"] = score.LogProb ?? LogProbs.Impossible };

    private static string? Word(FinishReason? finish) => finish switch
    {
        null => null,
        FinishReason.Length => "length",
        FinishReason.Filtered => "content_filter",
        _ => "eos_token",
    };
}
