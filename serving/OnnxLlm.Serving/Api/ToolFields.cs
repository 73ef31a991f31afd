using System.Collections.Immutable;
using System.Text.Json;
using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the functions that a chat may call: <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
internal sealed class ToolFields(RequestBody body, RequestLimits limits)
{
    private static readonly JsonElement NoArguments = JsonSerializer.SerializeToElement(new { type = "object", additionalProperties = false });
    private static readonly JsonElement AnyArguments = JsonSerializer.SerializeToElement(new { type = "object" });

    /// <summary>Null where none may be called, or something is wrong.</summary>
    public ToolOffer? Read()
    {
        var (choice, named) = Choice();
        if (choice == "none") return null;
        if (body.Element("tools") is { ValueKind: not JsonValueKind.Array }) body.Refuse("tools", "'tools' must be an array of functions.");
        var tools = body.List("tools", limits.Tools).Select((tool, i) => Tool($"tools[{i}]", tool)).OfType<Tool>().ToImmutableArray();
        if (tools.DistinctBy(tool => tool.Name).Count() < tools.Length) body.Refuse("tools", "Two tools have the same name.");
        if (tools.IsEmpty && choice != "auto") body.Refuse("tool_choice", "'tool_choice' needs 'tools'.");
        var callable = named is null ? tools : tools.RemoveAll(tool => tool.Name != named);
        if (callable.IsEmpty && !tools.IsEmpty) body.Refuse("tool_choice", "'tool_choice' names a function that is not among 'tools'.");
        var most = named is null && body.Flag("parallel_tool_calls") != false ? limits.Calls : 1;
        return callable.IsEmpty || body.Error is not null ? null : Offer(tools, callable, mayTalk: choice == "auto", most);
    }

    private ToolOffer? Offer(ImmutableArray<Tool> tools, ImmutableArray<Tool> callable, bool mayTalk, int most)
    {
        try
        {
            return new ToolOffer(tools, CallGrammar.Spec([.. callable.Select(tool => (tool.Name, tool.Parameters))], mayTalk, most));
        }
        catch (InvalidOperationException)
        {
            body.Refuse("tools", "'tools' is not valid Unicode.");
            return null;
        }
    }

    /// <summary>none, auto or required, and the one function that must be called, if there is one.</summary>
    private (string Choice, string? Named) Choice()
    {
        if (body.Element("tool_choice") is not { } choice) return ("auto", null);
        if (choice.ValueKind == JsonValueKind.String && body.Text("tool_choice", choice) is "none" or "auto" or "required") return (choice.GetString()!, null);
        if (choice.ValueKind == JsonValueKind.Object && new RequestBody(choice).Element("function") is { ValueKind: JsonValueKind.Object } function && new RequestBody(function).Text("name") is { } name)
            return ("required", name);
        body.Refuse("tool_choice", "'tool_choice' must be none, auto, required, or {\"type\":\"function\",\"function\":{\"name\":…}}.");
        return ("auto", null);
    }

    private Tool? Tool(string path, JsonElement json)
    {
        var tool = json.ValueKind == JsonValueKind.Object ? new RequestBody(json) : null;
        if (tool?.Text("type") != "function" || tool.Element("function") is not { ValueKind: JsonValueKind.Object } definition)
        {
            body.Refuse(ApiError.Invalid(path, $"'{path}' must be {{\"type\":\"function\",\"function\":{{…}}}}; the model calls nothing else.", "unsupported_parameter"));
            return null;
        }

        var function = new RequestBody(definition);
        if (function.Text("name") is not { } name || !RequestBody.IsName(name)) return Refuse($"{path}.function.name", "must have 1 to 64 letters, digits, '_' or '-'.");
        var (schema, isStrict) = (function.Element("parameters"), function.Flag("strict") == true);
        if (schema is { ValueKind: not JsonValueKind.Object }) return Refuse($"{path}.function.parameters", "must be a JSON schema.");
        if (isStrict && schema is { } given && !IsOfObjects(given)) return Refuse($"{path}.function.parameters", "must be a schema of type object.");
        return RequestBody.Unicode(json.GetRawText) is { } raw ? new Tool(name, raw, Parameters(schema, isStrict)) : Refuse(path, "is not valid Unicode.");
    }

    /// <summary>
    /// The schema that arguments keep to. A client that does not ask for strictness describes arguments for the model to read; where its schema has keywords
    /// that cannot be enforced, only the form of an object is.
    /// </summary>
    private static JsonElement Parameters(JsonElement? schema, bool isStrict)
    {
        if (schema is not { } given) return NoArguments;
        if (isStrict) return given;
        if (!IsOfObjects(given)) return AnyArguments;
        try
        {
            JsonSchema.Check(given);
            return given;
        }
        catch (Exception mistake) when (mistake is ConstraintException or InvalidOperationException or JsonException)
        {
            return AnyArguments;        // the last two: a text in it is not valid Unicode
        }
    }

    private static bool IsOfObjects(JsonElement schema) =>
        schema.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object") && !schema.TryGetProperty("$ref", out _) && !schema.TryGetProperty("anyOf", out _);

    private Tool? Refuse(string path, string why)
    {
        body.Refuse(path, $"'{path}' {why}");
        return null;
    }
}
