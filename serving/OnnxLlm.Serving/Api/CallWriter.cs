using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Choices of a chat whose functions may be called: text as <c>content</c>, calls as <c>tool_calls</c>.</summary>
/// <param name="answerId">Calls have names made of it.</param>
internal sealed class CallWriter(string answerId)
{
    private readonly Dictionary<int, CallReader> _readers = [];

    /// <summary>The streamed pieces of a delta: scores first, then text and calls, the end apart.</summary>
    public IEnumerable<JsonObject> Pieces(ChoiceDelta delta)
    {
        var reader = Reader(delta.Choice);
        if (!delta.Scores.IsEmpty) yield return ChatFormat.Delta(delta.Choice, [], delta.Scores, null);
        IReadOnlyList<CallPiece> pieces = [.. reader.Append(delta.Text), .. delta.Finish is null ? [] : reader.Finish()];
        foreach (var piece in pieces) yield return ChatFormat.Delta(delta.Choice, Delta(delta.Choice, piece), [], null);
        if (delta.Finish is { } reason) yield return ChatFormat.Delta(delta.Choice, [], [], Word(reason, reader.Calls));
    }

    public JsonObject Whole(int choice, string text, ImmutableArray<ScoredToken>? scores, FinishReason finish)
    {
        var reader = Reader(choice);
        CallPiece[] pieces = [.. reader.Append(text), .. reader.Finish()];
        var content = string.Concat(pieces.Where(piece => piece.Call is null).Select(piece => piece.Text));
        var calls = pieces.Where(piece => piece.Call is not null).GroupBy(piece => piece.Call!.Value)
            .Select(call => Call(choice, call.Key, call.First().Name!, string.Concat(call.Select(piece => piece.Text))));
        return ChatFormat.Message(choice, content, [.. calls], scores, Word(finish, reader.Calls));
    }

    private CallReader Reader(int choice)
    {
        if (!_readers.TryGetValue(choice, out var reader)) reader = _readers[choice] = new CallReader();
        return reader;
    }

    private JsonObject Delta(int choice, CallPiece piece)
    {
        if (piece.Call is not { } number) return new JsonObject { ["content"] = piece.Text };
        var call = piece.Name is { } name
            ? Call(choice, number, name, piece.Text)
            : new JsonObject { ["function"] = new JsonObject { ["arguments"] = piece.Text } };
        call.Insert(0, "index", number);
        return new JsonObject { ["tool_calls"] = new JsonArray(call) };
    }

    private JsonObject Call(int choice, int number, string name, string arguments) => new()
    {
        ["id"] = FormattableString.Invariant($"call_{answerId}-{choice}-{number}"),
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = name, ["arguments"] = arguments },
    };

    private static string Word(FinishReason reason, int calls) => calls > 0 && reason is FinishReason.Stop or FinishReason.StopSequence ? "tool_calls" : Words.Of(reason);
}
