using System.Text.Json;
using System.Text.RegularExpressions;

namespace OnnxLlm.Tests.Serving;

/// <summary>Validates a value by the rules of JSON Schema, written without a look at how the server makes its grammars.</summary>
internal static class SchemaCheck
{
    public static bool IsValid(JsonElement value, JsonElement schema, JsonElement root)
    {
        if (schema.ValueKind is JsonValueKind.True) return true;
        if (Get("$ref") is { } reference) return IsValid(value, reference.GetString()!.Split('/').Skip(1).Aggregate(root, (json, part) => json.GetProperty(part)), root);
        if (Get("const") is { } constant && !JsonElement.DeepEquals(value, constant)) return false;
        if (Get("enum") is { } values && !values.EnumerateArray().Any(one => JsonElement.DeepEquals(value, one))) return false;
        if (Get("anyOf") is { } choices && !choices.EnumerateArray().Any(choice => IsValid(value, choice, root))) return false;
        if (Get("type") is { } type && !(type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().ToArray() : [type]).Any(one => Is(value, one.GetString()!))) return false;
        return value.ValueKind switch
        {
            JsonValueKind.Object => IsValidObject(),
            JsonValueKind.Array => IsCounted(value.GetArrayLength(), "minItems", "maxItems") && (Get("items") is not { } items || value.EnumerateArray().All(item => IsValid(item, items, root))),
            JsonValueKind.String => IsCounted(value.GetString()!.EnumerateRunes().Count(), "minLength", "maxLength") && (Get("pattern") is not { } pattern || Regex.IsMatch(value.GetString()!, pattern.GetString()!)),
            _ => true,
        };

        JsonElement? Get(string name) => schema.TryGetProperty(name, out var found) ? found : null;

        bool IsCounted(int count, string min, string max) => count >= (Get(min)?.GetInt32() ?? 0) && count <= (Get(max)?.GetInt32() ?? int.MaxValue);

        bool IsValidObject()
        {
            var names = value.EnumerateObject().Select(property => property.Name).ToArray();
            if (names.Distinct().Count() < names.Length && Get("properties") is not null) return false;
            if (Get("required") is { } required && !required.EnumerateArray().All(name => names.Contains(name.GetString()))) return false;
            return value.EnumerateObject().All(property => Get("properties") is { } properties && properties.TryGetProperty(property.Name, out var own)
                ? IsValid(property.Value, own, root)
                : Get("additionalProperties") is not { } more || (more.ValueKind != JsonValueKind.False && IsValid(property.Value, more, root)));
        }
    }

    private static bool Is(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => false,
    };
}
