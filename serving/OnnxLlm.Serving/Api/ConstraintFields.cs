using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads what the answer must look like: <c>response_format</c>, <c>structured_outputs</c>, or the older <c>guided_…</c> fields.</summary>
internal sealed class ConstraintFields(RequestBody body)
{
    public ConstraintSpec? Read()
    {
        ConstraintSpec?[] given = [ResponseFormat(), StructuredOutputs(), Guided("guided_json", Json), Guided("guided_regex", Regex), Guided("guided_choice", Choice)];
        if (body.Element("guided_grammar") is not null) body.Refuse(ApiError.Unsupported("guided_grammar", "use a JSON schema, a regular expression or a choice."));
        if (given.Count(spec => spec is not null) > 1) body.Refuse("response_format", "Only one constraint is possible.");
        return given.FirstOrDefault(spec => spec is not null);
    }

    private ConstraintSpec? ResponseFormat()
    {
        if (body.Element("response_format") is not { } element) return null;
        if (element.ValueKind != JsonValueKind.Object) return Refuse("response_format", "'response_format' must be an object.");
        var format = new RequestBody(element);
        switch (format.Text("type"))
        {
            case "text": return null;
            case "json_object": return new ConstraintSpec(ConstraintKind.JsonObject, "");
            case "json_schema" when format.Element("json_schema") is { ValueKind: JsonValueKind.Object } named: return JsonSchema(new RequestBody(named));
            case "json_schema": return Refuse("response_format.json_schema", "'response_format.json_schema' must be an object with 'name' and 'schema'.");
            default: return Refuse("response_format.type", "'response_format.type' must be text, json_object or json_schema.");
        }
    }

    private ConstraintSpec? JsonSchema(RequestBody named)
    {
        if (named.Text("name") is not { } name || !RequestBody.IsName(name))
            return Refuse("response_format.json_schema.name", "'response_format.json_schema.name' must have 1 to 64 letters, digits, '_' or '-'.");
        return named.Element("schema") is { } schema ? Json("response_format.json_schema.schema", schema) : Refuse("response_format.json_schema.schema", "'response_format.json_schema.schema' is missing.");
    }

    private ConstraintSpec? StructuredOutputs()
    {
        if (body.Element("structured_outputs") is not { } element) return null;
        if (element.ValueKind != JsonValueKind.Object) return Refuse("structured_outputs", "'structured_outputs' must be an object.");
        var wanted = new RequestBody(element);
        if (wanted.Element("json") is { } schema) return Json("structured_outputs.json", schema);
        if (wanted.Element("regex") is { } regex) return Regex("structured_outputs.regex", regex);
        if (wanted.Element("choice") is { } choice) return Choice("structured_outputs.choice", choice);
        if (wanted.Flag("json_object") == true) return new ConstraintSpec(ConstraintKind.JsonObject, "");
        return Refuse("structured_outputs", "'structured_outputs' must have one of json, regex, choice and json_object.");
    }

    private ConstraintSpec? Guided(string name, Func<string, JsonElement, ConstraintSpec?> read) => body.Element(name) is { } value ? read(name, value) : null;

    private ConstraintSpec? Json(string path, JsonElement schema)
    {
        if (schema.ValueKind == JsonValueKind.String) return body.Text(path, schema) is { } text ? new(ConstraintKind.JsonSchema, text) : null;
        if (schema.ValueKind is not (JsonValueKind.Object or JsonValueKind.True)) return Refuse(path, $"'{path}' must be a JSON schema.");
        return RequestBody.Unicode(schema.GetRawText) is { } raw ? new(ConstraintKind.JsonSchema, raw) : Refuse(path, $"'{path}' is not valid Unicode.");
    }

    private ConstraintSpec? Regex(string path, JsonElement regex) => body.Text(path, regex) is { } text ? new(ConstraintKind.Regex, text) : null;

    private ConstraintSpec? Choice(string path, JsonElement choice)
    {
        if (choice.ValueKind == JsonValueKind.Array && choice.GetArrayLength() > 0 && choice.EnumerateArray().All(text => body.Text(path, text) is { Length: > 0 }))
            return new(ConstraintKind.Choice, choice.GetRawText());
        return Refuse(path, $"'{path}' must be a list of texts.");
    }

    private ConstraintSpec? Refuse(string path, string message)
    {
        body.Refuse(path, message);
        return null;
    }
}
