using System.Text;
using System.Text.Json.Nodes;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>An event of a streamed response: its type, and the rest of it.</summary>
internal readonly record struct ResponseEvent(string Type, JsonObject Data);

/// <summary>
/// Makes the items of a response from the pieces of an answer, and the events that tell of them. A whole response is what remains when nobody listens to the events.
/// </summary>
/// <param name="head">The response without output, usage and status.</param>
/// <param name="answerId">Items have names made of it.</param>
/// <param name="mayCall">Functions may be called.</param>
internal sealed class ResponseEvents(JsonObject head, string answerId, bool mayCall)
{
    private readonly CallReader? _calls = mayCall ? new CallReader() : null;
    private readonly List<JsonObject> _items = [];
    private readonly StringBuilder _text = new();
    private JsonObject? _open;
    private FinishReason _finish = FinishReason.Stop;

    public IEnumerable<ResponseEvent> Begin()
    {
        foreach (var type in (string[])["response.created", "response.in_progress"])
            yield return new(type, new JsonObject { ["response"] = Response("in_progress", null) });
    }

    public IEnumerable<ResponseEvent> Of(ChoiceDelta delta)
    {
        _finish = delta.Finish ?? _finish;
        IReadOnlyList<CallPiece> pieces = _calls is null
            ? delta.Text.Length > 0 ? [new(null, null, delta.Text)] : []
            : [.. _calls.Append(delta.Text), .. delta.Finish is null ? [] : _calls.Finish()];
        return pieces.SelectMany(Of);
    }

    /// <summary>All items are done. A response without any text has an empty one, because clients look for it.</summary>
    public IEnumerable<ResponseEvent> End(Usage usage)
    {
        if (_items.Count == 0)
            foreach (var happened in Open(Text())) yield return happened;
        foreach (var happened in Close()) yield return happened;
        var whole = Whole(usage);
        yield return new($"response.{whole["status"]}", new JsonObject { ["response"] = whole });
    }

    private JsonObject Whole(Usage usage)
    {
        var reason = _finish switch { FinishReason.Length => "max_output_tokens", FinishReason.Filtered => "content_filter", _ => null };
        var whole = Response(reason is null ? "completed" : "incomplete", usage);
        if (reason is not null) whole["incomplete_details"] = new JsonObject { ["reason"] = reason };
        return whole;
    }

    private IEnumerable<ResponseEvent> Of(CallPiece piece)
    {
        var begins = piece.Name is not null || _open is null;
        if (begins)
        {
            foreach (var happened in Close()) yield return happened;
            foreach (var happened in Open(piece.Name is { } name ? Call(name) : Text())) yield return happened;
        }

        if (piece.Text.Length == 0) yield break;
        _text.Append(piece.Text);
        yield return Told(IsCall ? "response.function_call_arguments.delta" : "response.output_text.delta", ("delta", piece.Text));
    }

    private bool IsCall => (string?)_open!["type"] == "function_call";

    private IEnumerable<ResponseEvent> Open(JsonObject item)
    {
        _items.Add(_open = item);
        _text.Clear();
        yield return new("response.output_item.added", new JsonObject { ["output_index"] = _items.Count - 1, ["item"] = item.DeepClone() });
        if (!IsCall) yield return Told("response.content_part.added", ("part", Part("")));
    }

    private IEnumerable<ResponseEvent> Close()
    {
        if (_open is null) yield break;
        var text = _text.ToString();
        if (IsCall)
        {
            _open["arguments"] = text;
            yield return Told("response.function_call_arguments.done", ("name", (string?)_open["name"]), ("arguments", text));
        }
        else
        {
            _open["content"] = new JsonArray(Part(text));
            yield return Told("response.output_text.done", ("text", text));
            yield return Told("response.content_part.done", ("part", Part(text)));
        }

        // Only the last item may have been cut off.
        _open["status"] = _finish is FinishReason.Length or FinishReason.Filtered ? "incomplete" : "completed";
        yield return new("response.output_item.done", new JsonObject { ["output_index"] = _items.Count - 1, ["item"] = _open.DeepClone() });
        _open = null;
    }

    /// <summary>An event about the item that is open.</summary>
    private ResponseEvent Told(string type, params (string Name, JsonNode? Value)[] more)
    {
        var data = new JsonObject { ["item_id"] = (string?)_open!["id"], ["output_index"] = _items.Count - 1 };
        if (!IsCall) data["content_index"] = 0;
        foreach (var (name, value) in more) data[name] = value;
        if (type.StartsWith("response.output_text", StringComparison.Ordinal)) data["logprobs"] = new JsonArray();
        return new(type, data);
    }

    private JsonObject Text() => new() { ["id"] = Name("msg"), ["type"] = "message", ["status"] = "in_progress", ["role"] = "assistant", ["content"] = new JsonArray() };

    private JsonObject Call(string name) => new()
    {
        ["id"] = Name("fc"),
        ["type"] = "function_call",
        ["status"] = "in_progress",
        ["call_id"] = Name("call"),
        ["name"] = name,
        ["arguments"] = "",
    };

    private static JsonObject Part(string text) => new() { ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = new JsonArray() };

    private string Name(string kind) => FormattableString.Invariant($"{kind}_{answerId}-{_items.Count}");

    private JsonObject Response(string status, Usage? usage)
    {
        var response = (JsonObject)head.DeepClone();
        response["status"] = status;
        response["output"] = new JsonArray([.. usage is null ? [] : _items.Select(item => item.DeepClone())]);
        response["usage"] = usage is null ? null : new JsonObject
        {
            ["input_tokens"] = usage.PromptTokens,
            ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedTokens },
            ["output_tokens"] = usage.CompletionTokens,
            ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
            ["total_tokens"] = usage.PromptTokens + usage.CompletionTokens,
        };
        return response;
    }
}
