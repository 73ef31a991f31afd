using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>What all pieces of an answer have in common.</summary>
internal sealed record AnswerHead(string Id, long Created, string Model, string Fingerprint);

/// <summary>Puts an answer into JSON, as a whole or piece by piece.</summary>
internal sealed class AnswerWriter(AnswerHead head, IAnswerFormat format, GenerationRequest request)
{
    private readonly Dictionary<int, TextFrame> _frames = [];
    private readonly CallWriter? _calls = request.MayCall ? new CallWriter(head.Id) : null;

    /// <summary>The whole answer, once all pieces are there.</summary>
    public JsonObject Whole(IReadOnlyList<ChoiceDelta> deltas, int choices, Usage usage)
    {
        var whole = Envelope(format.WholeName, Enumerable.Range(0, choices).Select(choice => Whole(choice, deltas.Where(delta => delta.Choice == choice))));
        whole["usage"] = UsageJson(usage);
        return whole;
    }

    /// <summary>The pieces that open a stream.</summary>
    public IEnumerable<JsonObject> Opening(int choices) => Enumerable.Range(0, choices).Select(format.Opening).OfType<JsonObject>().Select(Piece);

    /// <summary>Adds the streamed pieces of a delta: text first, the end apart.</summary>
    public void Append(SseStream stream, ChoiceDelta delta)
    {
        if (_calls is not null)
        {
            foreach (var piece in _calls.Pieces(delta)) stream.Append(Piece(piece));
            return;
        }

        if (!delta.Scores.IsEmpty) stream.Append(Piece(format.Piece(delta.Choice, delta.Text, delta.Scores, null)));
        else if (delta.Text.Length > 0) stream.Append(Frame(delta.Choice), delta.Text);
        if (delta.Finish is not null) stream.Append(Piece(format.Piece(delta.Choice, "", [], delta.Finish)));
    }

    /// <summary>The last piece of a stream whose client wants to know the usage; null otherwise.</summary>
    public JsonObject? Closing(Usage usage)
    {
        if (!request.IncludeUsage) return null;
        var closing = Envelope(format.PieceName, []);
        closing["usage"] = UsageJson(usage);
        return closing;
    }

    private TextFrame Frame(int choice)
    {
        if (!_frames.TryGetValue(choice, out var frame)) frame = _frames[choice] = TextFrame.Of(Piece(format.Piece(choice, TextFrame.Placeholder, [], null)));
        return frame;
    }

    private JsonObject Piece(JsonObject choice)
    {
        var piece = Envelope(format.PieceName, [choice]);
        if (request.IncludeUsage) piece["usage"] = null;
        return piece;
    }

    private JsonObject Whole(int choice, IEnumerable<ChoiceDelta> deltas)
    {
        ChoiceDelta[] pieces = [.. deltas];
        ImmutableArray<ScoredToken>? scores = request.Alternatives is null ? null : [.. pieces.SelectMany(piece => piece.Scores)];
        var (text, finish) = (string.Concat(pieces.Select(piece => piece.Text)), pieces[^1].Finish ?? FinishReason.Stop);
        return _calls?.Whole(choice, text, scores, finish) ?? format.Whole(choice, text, scores, finish);
    }

    private JsonObject Envelope(string name, IEnumerable<JsonObject> choices) => new()
    {
        ["id"] = head.Id,
        ["object"] = name,
        ["created"] = head.Created,
        ["model"] = head.Model,
        ["system_fingerprint"] = head.Fingerprint,
        ["choices"] = new JsonArray([.. choices]),
    };

    private static JsonObject UsageJson(Usage usage) => new()
    {
        ["prompt_tokens"] = usage.PromptTokens,
        ["completion_tokens"] = usage.CompletionTokens,
        ["total_tokens"] = usage.PromptTokens + usage.CompletionTokens,
        ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedTokens },
        ["completion_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
    };
}
