using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Says in the words of <c>/v1/chat/completions</c> what a body of <c>/v1/responses</c> asks for, so that both routes understand the same. What has no word there, because
/// nothing is stored here, is refused.
/// </summary>
internal sealed class ResponseInput(RequestBody body, RequestLimits limits)
{
    private static readonly string[] Storage = ["previous_response_id", "conversation"];

    private static readonly (string Chat, string Here)[] Names = [("messages", "input"), ("max_completion_tokens", "max_output_tokens"), ("response_format", "text.format")];

    /// <summary>A body for the parser of chats; mistakes are told to the original body under its own names.</summary>
    public JsonElement ToChat()
    {
        foreach (var name in Storage)
            if (body.Element(name) is not null) body.Refuse(ApiError.Unsupported(name, "the server stores nothing; send the whole conversation as 'input'."));
        if (body.Flag("background") == true) body.Refuse(ApiError.Unsupported("background", "answers are not stored."));
        var chat = new JsonObject { ["messages"] = Messages(), ["max_completion_tokens"] = body.Integer("max_output_tokens", 1, int.MaxValue), ["parallel_tool_calls"] = body.Flag("parallel_tool_calls") };
        if (Format() is { } format) chat["response_format"] = format;
        if (body.Element("tools") is { } tools) chat["tools"] = tools.ValueKind == JsonValueKind.Array ? new JsonArray([.. tools.EnumerateArray().Take(limits.Tools + 1).Select(Tool)]) : Node(tools);
        if (body.Element("tool_choice") is { } choice) chat["tool_choice"] = choice.ValueKind == JsonValueKind.Object ? Nested(choice) : Node(choice);
        return JsonSerializer.SerializeToElement(chat);
    }

    /// <summary>A mistake that the parser of chats found, in the names of this route.</summary>
    public static ApiError Named(ApiError error)
    {
        var (chat, here) = Names.FirstOrDefault(name => error.Param?.StartsWith(name.Chat, StringComparison.Ordinal) == true);
        return chat is null ? error : error with { Param = here + error.Param![chat.Length..], Message = error.Message.Replace(chat, here, StringComparison.Ordinal) };
    }

    /// <summary>The same as a part of another document; null for what is not there.</summary>
    public static JsonNode? Node(JsonElement? json) => json?.ValueKind switch
    {
        null => null,
        JsonValueKind.Object => JsonObject.Create(json.Value),
        JsonValueKind.Array => JsonArray.Create(json.Value),
        _ => JsonValue.Create(json.Value),
    };

    private JsonArray Messages()
    {
        var messages = new JsonArray();
        if (body.Text("instructions") is { } instructions) messages.Add(Message("system", instructions));
        if (body.Element("input") is { ValueKind: JsonValueKind.String } text) messages.Add(Message("user", body.Text("input", text)));
        else if (body.Element("input") is { ValueKind: JsonValueKind.Array } items && items.GetArrayLength() > 0) AddItems(messages, items);
        else body.Refuse("input", "'input' must be a text or a list of items.");
        return messages;
    }

    private void AddItems(JsonArray messages, JsonElement items)
    {
        if (items.GetArrayLength() > limits.Messages) body.Refuse("input", $"'input' may have at most {limits.Messages} items.");
        var i = 0;
        foreach (var item in items.EnumerateArray().Take(limits.Messages)) Add(messages, $"input[{i++}]", item);
    }

    private void Add(JsonArray messages, string path, JsonElement json)
    {
        var item = json.ValueKind == JsonValueKind.Object ? new RequestBody(json) : null;
        switch (item?.Text("type") ?? (item is null ? "" : "message"))
        {
            case "message":
                messages.Add(new JsonObject { ["role"] = Node(item!.Element("role")), ["content"] = Content(path, item) });
                break;
            case "function_call":
                Called(messages, new JsonObject { ["type"] = "function", ["function"] = new JsonObject { ["name"] = Node(item!.Element("name")), ["arguments"] = Node(item.Element("arguments")) } });
                break;
            case "function_call_output":
                messages.Add(Message("tool", item!.Element("output") is { ValueKind: JsonValueKind.String } output ? body.Text($"{path}.output", output) : item.Element("output")?.GetRawText() ?? ""));
                break;
            case "reasoning":
                break;          // the models here have none to go on with
            default:
                body.Refuse(ApiError.Invalid(path, $"'{path}' must be a message, a function_call or a function_call_output; the model reads nothing else.", "unsupported_content"));
                break;
        }
    }

    /// <summary>Calls that follow each other were made in one turn.</summary>
    private static void Called(JsonArray messages, JsonObject call)
    {
        if (messages is [.., JsonObject last] && last["role"] is JsonValue role && role.TryGetValue(out string? name) && name == "assistant")
        {
            if (last["tool_calls"] is JsonArray calls) calls.Add(call);
            else last["tool_calls"] = new JsonArray(call);
        }
        else
        {
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = null, ["tool_calls"] = new JsonArray(call) });
        }
    }

    /// <summary>Texts of users and of the assistant have names of their own here.</summary>
    private JsonNode? Content(string path, RequestBody message)
    {
        if (message.Element("content") is not { ValueKind: JsonValueKind.Array } parts) return Node(message.Element("content"));
        var i = 0;
        return new JsonArray([.. parts.EnumerateArray().Select(part => Part($"{path}.content[{i++}]", part))]);
    }

    private JsonObject Part(string path, JsonElement json)
    {
        var part = json.ValueKind == JsonValueKind.Object ? new RequestBody(json) : null;
        if (part?.Text("type") is "input_text" or "output_text" or "text" && part.Element("text") is { } text) return new JsonObject { ["type"] = "text", ["text"] = body.Text($"{path}.text", text) };
        body.Refuse(ApiError.Invalid(path, $"'{path}' must be a text; the model reads nothing else.", "unsupported_content"));
        return new JsonObject();
    }

    private JsonNode? Format()
    {
        if (body.Element("text") is not { } text) return null;
        if (text.ValueKind != JsonValueKind.Object || new RequestBody(text).Element("format") is { ValueKind: not JsonValueKind.Object })
        {
            body.Refuse("text", "'text' must be an object, and its 'format' as well.");
            return null;
        }

        if (new RequestBody(text).Element("format") is not { } format) return null;
        return new RequestBody(format).Text("type") == "json_schema" ? new JsonObject { ["type"] = "json_schema", ["json_schema"] = Node(format) } : Node(format);
    }

    /// <summary>The definition of a function stands beside its type here, within <c>function</c> there.</summary>
    private static JsonNode? Tool(JsonElement json) => json.ValueKind == JsonValueKind.Object ? Nested(json) : Node(json);

    private static JsonObject Nested(JsonElement json) => new() { ["type"] = Node(new RequestBody(json).Element("type")), ["function"] = Node(json) };

    private static JsonObject Message(string role, string? content) => new() { ["role"] = role, ["content"] = content };
}
