using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using OnnxLlm.Graphs;

namespace OnnxLlm.Training.Configuration;

/// <summary>
/// Reads records from JSON, strictly: an unknown, missing or duplicate key or a value of the wrong kind is a mistake.
/// The serializer stops at the first one, so the tree is checked against the type first, and every mistake is named.
/// </summary>
internal static class StrictJson
{
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(new LowerCase(), allowIntegerValues: false), new ModelConfigConverter() },
        WriteIndented = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    /// <summary>The mistakes in <paramref name="json"/> as a <typeparamref name="T"/>, each "path: what is wrong".</summary>
    public static IEnumerable<string> Mistakes<T>(JsonObject json) => Mistakes(json, Options.GetTypeInfo(typeof(T)), "");

    private static IEnumerable<string> Mistakes(JsonObject json, JsonTypeInfo type, string path)
    {
        var known = type.Properties.ToDictionary(p => p.Name);
        foreach (var (key, value) in json)
        {
            var mistakes = known.TryGetValue(key, out var property) ? OfValue(value, property, path + key) : [Unknown(key, known.Keys, path)];
            foreach (var mistake in mistakes) yield return mistake;
        }
        foreach (var property in type.Properties.Where(p => p.IsRequired && !json.ContainsKey(p.Name)))
            yield return $"{path}{property.Name}: is missing";
    }

    private static string Unknown(string key, IEnumerable<string> known, string path) =>
        NearestName.Of(key, known) is { } nearest ? $"{path}{key}: unknown key; did you mean '{nearest}'?" : $"{path}{key}: unknown key; known are {string.Join(", ", known)}";

    private static IEnumerable<string> OfValue(JsonNode? value, JsonPropertyInfo property, string path)
    {
        var type = Options.GetTypeInfo(property.PropertyType);
        if (value is JsonObject section && type.Kind == JsonTypeInfoKind.Object) return Mistakes(section, type, path + ".");
        return Mistake(value, property) is { } mistake ? [$"{path}: {mistake}"] : [];
    }

    private static string? Mistake(JsonNode? value, JsonPropertyInfo property)
    {
        if (value is null && property.IsSetNullable) return null;
        try
        {
            return value?.Deserialize(property.PropertyType, Options) is null ? Expected(property.PropertyType, value) : null;
        }
        catch (JsonException)
        {
            return Expected(property.PropertyType, value);
        }
        catch (GraphException e)
        {
            return e.Message;
        }
    }

    private static string Expected(Type type, JsonNode? value)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        var got = value?.ToJsonString() ?? "null";
        if (type.IsEnum) return OneOf([.. Enum.GetValues(type).Cast<object>().Select(NameOf)], got);
        var kind = Type.GetTypeCode(type) switch
        {
            TypeCode.Int32 or TypeCode.Int64 => "a whole number",
            TypeCode.Single or TypeCode.Double => "a number",
            TypeCode.Boolean => "true or false",
            TypeCode.String => "a text",
            _ when type.IsAssignableTo(typeof(IEnumerable<string>)) => "a list of texts",
            _ => "a section { … }",
        };
        return $"expected {kind}, got {got}";
    }

    /// <summary>An enum's value as JSON writes it.</summary>
    public static string NameOf(object value) => JsonSerializer.SerializeToNode(value, Options)!.GetValue<string>();

    private static string OneOf(string[] names, string got) =>
        $"{got} is none of {string.Join(", ", names)}" + (NearestName.Of(got.Trim('"'), names) is { } nearest ? $"; did you mean '{nearest}'?" : "");

    private sealed class LowerCase : JsonNamingPolicy
    {
        public override string ConvertName(string name) => name.ToLowerInvariant();
    }
}
