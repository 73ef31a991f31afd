using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Choices of <c>/v1/chat/completions</c>.</summary>
internal sealed class ChatFormat : IAnswerFormat
{
    public string IdPrefix => "chatcmpl-";

    public string Operation => "chat";

    public string WholeName => "chat.completion";

    public string PieceName => "chat.completion.chunk";

    public JsonObject Opening(int choice) => Delta(choice, new JsonObject { ["role"] = "assistant", ["content"] = "" }, [], null);

    public JsonObject Piece(int choice, string text, ImmutableArray<ScoredToken> scores, FinishReason? finish) =>
        Delta(choice, finish is null ? new JsonObject { ["content"] = text } : [], scores, finish is { } reason ? Words.Of(reason) : null);

    public JsonObject Whole(int choice, string text, ImmutableArray<ScoredToken>? scores, FinishReason finish) => Message(choice, text, [], scores, Words.Of(finish));

    /// <summary>A whole choice; without text where it does nothing but call functions.</summary>
    public static JsonObject Message(int choice, string text, IReadOnlyList<JsonObject> calls, ImmutableArray<ScoredToken>? scores, string finish)
    {
        var message = new JsonObject { ["role"] = "assistant", ["content"] = calls.Count > 0 && text.Length == 0 ? null : text, ["refusal"] = null };
        if (calls.Count > 0) message["tool_calls"] = new JsonArray([.. calls]);
        return new() { ["index"] = choice, ["message"] = message, ["logprobs"] = scores is { } some ? Scores(some) : null, ["finish_reason"] = finish };
    }

    public static JsonObject Delta(int choice, JsonObject delta, ImmutableArray<ScoredToken> scores, string? finish) => new()
    {
        ["index"] = choice,
        ["delta"] = delta,
        ["logprobs"] = scores.IsEmpty ? null : Scores(scores),
        ["finish_reason"] = finish,
    };

    private static JsonObject Scores(ImmutableArray<ScoredToken> scores) => new()
    {
        ["content"] = new JsonArray([.. scores.Select(Entry)]),
        ["refusal"] = null,
    };

    private static JsonObject Entry(ScoredToken score)
    {
        var entry = Entry(score.Token, score.LogProb ?? LogProbs.Impossible);
        entry["top_logprobs"] = new JsonArray([.. score.Top.Select(top => Entry(top.Token, top.LogProb))]);
        return entry;
    }

    private static JsonObject Entry(TokenText token, float logProb) => new()
    {
        ["token"] = token.Text,
        ["logprob"] = logProb,
        ["bytes"] = new JsonArray([.. token.Bytes.Select(b => JsonValue.Create((int)b))]),
    };
}
