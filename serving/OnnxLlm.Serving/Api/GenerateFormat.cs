using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>The answer to Triton's <c>generate</c>: the text, and with <c>details</c> why it ended and how likely its tokens were.</summary>
internal sealed class GenerateFormat(string model, bool hasDetails)
{
    private int _shown;

    public JsonObject Whole(ChoiceDelta whole) =>
        Envelope(whole.Text, new JsonObject { ["finish_reason"] = Word(whole.Finish), ["logprobs"] = new JsonArray([.. whole.Scores.Select(Token)]) });

    /// <summary>The events of a streamed piece. With details there is one for each token, with the text from where the token begins to where the next one does.</summary>
    public IEnumerable<JsonObject> Pieces(ChoiceDelta delta)
    {
        var (start, tokens) = (_shown, delta.Scores);
        _shown += delta.Text.Length;
        for (int i = 0, from = start; i < Math.Max(1, tokens.Length); i++)
        {
            var to = i + 1 < tokens.Length ? Math.Clamp(tokens[i + 1].Offset, from, _shown) : _shown;
            var isLast = i + 1 >= tokens.Length;
            yield return Envelope(delta.Text[(from - start)..(to - start)], new JsonObject { ["finish_reason"] = isLast ? Word(delta.Finish) : null, ["token"] = i < tokens.Length ? Token(tokens[i]) : null });
            from = to;
        }
    }

    private JsonObject Envelope(string text, JsonObject details)
    {
        var answer = new JsonObject { ["model_name"] = model, ["model_version"] = "1", ["text_output"] = text };
        if (hasDetails) answer["details"] = details;
        return answer;
    }

    private static JsonObject Token(ScoredToken score) => new()
    {
        ["id"] = score.Token.Id,
        ["text"] = score.Token.Text,
        ["logprob"] = score.LogProb ?? LogProbs.Impossible,
        ["special"] = score.Token.IsSpecial,
    };

    private static string? Word(FinishReason? finish) => finish switch
    {
        null => null,
        FinishReason.Length => "length",
        FinishReason.Filtered => "content_filter",
        FinishReason.StopSequence => "stop_sequence",
        _ => "eos_token",
    };
}
