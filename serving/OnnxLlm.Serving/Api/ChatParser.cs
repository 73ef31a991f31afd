using System.Text.Json;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the body of <c>/v1/chat/completions</c>.</summary>
internal sealed class ChatParser(RequestBody body, ServedModel model, RequestLimits limits)
{
    private static readonly string[] Roles = ["developer", "system", "user", "assistant", "tool", "function"];

    public GenerationRequest Read(GenerationRequest shared)
    {
        if (model.Template is null) body.Refuse(ApiError.Invalid(null, "This model has no chat template. Use /v1/completions, or start the server with --chat-template.", "chat_template_missing"));
        RefuseWhatIsMissing();
        var maxTokens = MaxTokens();
        var messages = Messages();
        var offer = new ToolFields(body, limits).Read();
        if (offer is not null && shared.Format is not null) body.Refuse("response_format", "'response_format' and 'tools' are not possible together; set 'tool_choice' to \"none\".");
        var open = body.Flag("add_generation_prompt") ?? true;
        if (body.Error is not null || model.Template is not { } template) return shared;
        return shared with
        {
            Prompts = [[.. template.Encode(offer is null ? messages : ToolTurns.Offering(offer.Offered, messages), open)]],
            Format = offer?.Format ?? shared.Format,
            Stop = [.. shared.Stop, .. template.Stops],
            MaxTokens = maxTokens ?? int.MaxValue,
            MaxTokensIsFirm = maxTokens is not null,
            Alternatives = Alternatives(),
        };
    }

    private int? MaxTokens()
    {
        var old = body.Integer("max_tokens", 1, int.MaxValue);
        return body.Integer("max_completion_tokens", 1, int.MaxValue) ?? old;
    }

    private int? Alternatives()
    {
        var wanted = body.Flag("logprobs") ?? false;
        var top = body.Integer("top_logprobs", 0, limits.Alternatives);
        if (top > 0 && !wanted) body.Refuse("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.");
        return wanted ? top ?? 0 : null;
    }

    private void RefuseWhatIsMissing()
    {
        RefuseFunctions();
        if (body.Element("audio") is not null) body.Refuse(ApiError.Unsupported("audio", "the model writes text."));
        if (body.List("modalities", 16).Any(modality => body.Text("modalities", modality) != "text"))
            body.Refuse(ApiError.Unsupported("modalities", "the model writes text."));
        if (body.Element("web_search_options") is not null) body.Refuse(ApiError.Unsupported("web_search_options", "there is no search."));
        if (body.Element("chat_template_kwargs") is { } arguments && !IsEmpty(arguments))
            body.Refuse(ApiError.Unsupported("chat_template_kwargs", "the templates have no arguments."));
    }

    /// <summary>The form that tools had before: they may be offered as long as none may be called.</summary>
    private void RefuseFunctions()
    {
        var wanted = body.Element("function_call") is { } value ? (value.ValueKind == JsonValueKind.String ? body.Text("function_call", value) : "a function") : "auto";
        if (wanted == "none") return;
        if (body.Element("functions") is { } functions && !IsEmpty(functions)) body.Refuse(ApiError.Unsupported("functions", "use 'tools'."));
        if (wanted != "auto") body.Refuse(ApiError.Unsupported("function_call", "use 'tool_choice'."));
    }

    private IReadOnlyList<ChatMessage> Messages()
    {
        if (body.Element("messages") is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() == 0)
        {
            body.Refuse("messages", "'messages' must be an array with at least one message.");
            return [];
        }

        if (list.GetArrayLength() > limits.Messages) body.Refuse("messages", $"'messages' may have at most {limits.Messages} entries.");
        return ToolTurns.WithResults([.. list.EnumerateArray().Take(limits.Messages).Select((message, i) => Message($"messages[{i}]", message)).OfType<ChatMessage>()]);
    }

    private ChatMessage? Message(string path, JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            body.Refuse(path, $"'{path}' must be an object.");
            return null;
        }

        var message = new RequestBody(json);
        var role = message.Text("role");
        if (!Roles.Contains(role)) body.Refuse($"{path}.role", $"'{path}.role' must be one of {string.Join(", ", Roles)}.");
        if (message.Element("function_call") is { } old && !IsEmpty(old)) body.Refuse(ApiError.Unsupported($"{path}.function_call", "use 'tool_calls'."));
        var calls = message.Element("tool_calls") is { } made && !IsEmpty(made) ? Calls($"{path}.tool_calls", made) : [];
        var content = calls.Length > 0 && message.Element("content") is null ? "" : Content(path, message);
        return new ChatMessage(role == "developer" ? "system" : role ?? "", string.Join('\n', [.. content.Length > 0 || calls.Length == 0 ? [content] : Array.Empty<string>(), .. calls]));
    }

    /// <summary>Calls that the assistant made, as it wrote them.</summary>
    private string[] Calls(string path, JsonElement list)
    {
        if (list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= limits.Calls) return [.. list.EnumerateArray().Select((call, i) => Call($"{path}[{i}]", call))];
        body.Refuse(path, $"'{path}' must be an array with at most {limits.Calls} calls.");
        return [];
    }

    private string Call(string path, JsonElement json)
    {
        var call = json.ValueKind == JsonValueKind.Object && new RequestBody(json).Element("function") is { ValueKind: JsonValueKind.Object } function ? new RequestBody(function) : null;
        if (call?.Text("name") is { } name && call.Text("arguments") is { } arguments) return ToolTurns.Call(name, arguments);
        body.Refuse(path, $"'{path}' must be {{\"type\":\"function\",\"function\":{{\"name\":…,\"arguments\":…}}}}, both texts.");
        return "";
    }

    private string Content(string path, RequestBody message)
    {
        if (message.Element("content") is not { } content)
        {
            body.Refuse($"{path}.content", $"'{path}.content' is missing.");
            return "";
        }

        if (content.ValueKind != JsonValueKind.Array) return body.Text($"{path}.content", content) ?? "";
        return string.Concat(content.EnumerateArray().Select((part, i) => Part($"{path}.content[{i}]", part)));
    }

    private string Part(string path, JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            body.Refuse(path, $"'{path}' must be an object.");
            return "";
        }

        var part = new RequestBody(json);
        if (part.Text("type") == "text" && part.Element("text") is { } text) return body.Text($"{path}.text", text) ?? "";
        body.Refuse(ApiError.Invalid(path, $"'{path}' must be {{\"type\":\"text\",\"text\":…}}; the model reads nothing else.", "unsupported_content"));
        return "";
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };
}
