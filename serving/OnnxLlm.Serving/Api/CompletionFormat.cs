using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Choices of <c>/v1/completions</c>, with scores in the shape of parallel lists that evaluation programs read.</summary>
internal sealed class CompletionFormat : IAnswerFormat
{
    public string IdPrefix => "cmpl-";

    public string Operation => "text_completion";

    public string WholeName => "text_completion";

    public string PieceName => "text_completion";

    public JsonObject? Opening(int choice) => null;

    public JsonObject Piece(int choice, string text, ImmutableArray<ScoredToken> scores, FinishReason? finish) =>
        Choice(choice, text, scores.IsEmpty ? null : scores, finish);

    public JsonObject Whole(int choice, string text, ImmutableArray<ScoredToken>? scores, FinishReason finish) =>
        Choice(choice, text, scores, finish);

    private static JsonObject Choice(int choice, string text, ImmutableArray<ScoredToken>? scores, FinishReason? finish) => new()
    {
        ["text"] = text,
        ["index"] = choice,
        ["logprobs"] = scores is { } some ? Scores(some) : null,
        ["finish_reason"] = finish is { } reason ? Words.Of(reason) : null,
    };

    private static JsonObject Scores(ImmutableArray<ScoredToken> scores) => new()
    {
        ["tokens"] = new JsonArray([.. scores.Select(score => JsonValue.Create(score.Token.Text))]),
        ["token_logprobs"] = new JsonArray([.. scores.Select(score => JsonValue.Create(score.LogProb))]),
        ["top_logprobs"] = new JsonArray([.. scores.Select(Top)]),
        ["text_offset"] = new JsonArray([.. scores.Select(score => JsonValue.Create(score.Offset))]),
    };

    /// <summary>
    /// The best tokens and the chosen one by their text. The chosen value is the same float here and in <c>token_logprobs</c>: readers
    /// compare them to tell a greedy choice. Where two tokens have the same text the larger value stays.
    /// </summary>
    private static JsonObject? Top(ScoredToken score)
    {
        if (score.LogProb is not { } chosen) return null;
        var top = new JsonObject();
        foreach (var (token, logProb) in score.Top.Append(new ScoredAlternative(score.Token, chosen)))
            if (!top.ContainsKey(token.Text)) top[token.Text] = logProb;
        return top;
    }
}
