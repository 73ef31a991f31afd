using System.Text.Json;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// Reads fields of a JSON request and remembers the first thing wrong with it, so that parsers need no branch per field: a bad field
/// reads as absent. A JSON null is absent too. Unknown fields are never looked at.
/// </summary>
internal sealed class RequestBody(JsonElement root)
{
    private IReadOnlyDictionary<string, JsonElement>? _more;

    /// <summary>The first mistake, or null.</summary>
    public ApiError? Error { get; private set; }

    public JsonElement? Element(string name) =>
        (root.TryGetProperty(name, out var value) || _more?.TryGetValue(name, out value) == true) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Fields that stand elsewhere, for names that the body itself does not have.</summary>
    public void Add(IReadOnlyDictionary<string, JsonElement> more) => _more = more;

    /// <summary>Remembers a mistake, unless there is one already.</summary>
    public void Refuse(ApiError error) => Error ??= error;

    public void Refuse(string param, string message) => Refuse(ApiError.Invalid(param, message));

    public string? Text(string name) => Element(name) is { } value ? Text(name, value) : null;

    /// <param name="path">Names the value in the error.</param>
    public string? Text(string path, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String && TryText(value) is { } text) return text;
        Refuse(path, value.ValueKind == JsonValueKind.String ? $"'{path}' is not valid Unicode." : $"'{path}' must be a string.");
        return null;
    }

    public bool? Flag(string name)
    {
        if (Element(name) is not { } value) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        Refuse(name, $"'{name}' must be true or false.");
        return null;
    }

    public double? Number(string name, double min, double max) => Element(name) is { } value ? Number(name, value, min, max) : null;

    public double? Number(string path, JsonElement value, double min, double max)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= min && number <= max) return number;
        Refuse(path, FormattableString.Invariant($"'{path}' must be a number from {min} to {max}."));
        return null;
    }

    public int? Integer(string name, int min, int max) => Element(name) is { } value ? Integer(name, value, min, max) : null;

    public int? Integer(string path, JsonElement value, int min, int max)
    {
        if (Whole(value) is { } number && number >= min && number <= max) return (int)number;
        var range = max == int.MaxValue ? $"of at least {min}" : $"from {min} to {max}";
        Refuse(path, $"'{path}' must be an integer {range}.");
        return null;
    }

    public long? Long(string name)
    {
        if (Element(name) is not { } value) return null;
        if (Whole(value) is { } number) return number;
        Refuse(name, $"'{name}' must be a 64-bit integer.");
        return null;
    }

    /// <summary>The elements of an array, or a single value where the API allows one in its place.</summary>
    public IReadOnlyList<JsonElement> List(string name, int max)
    {
        if (Element(name) is not { } value) return [];
        if (value.ValueKind != JsonValueKind.Array) return [value];
        if (value.GetArrayLength() <= max) return [.. value.EnumerateArray()];
        Refuse(name, $"'{name}' may have at most {max} entries.");
        return [];
    }

    /// <summary>1 to 64 letters, digits, '_' and '-', as schemas and functions are called.</summary>
    public static bool IsName(string text) => text.Length is >= 1 and <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>The name of a property, or null where it is not text.</summary>
    public static string? Name(JsonProperty property) => Unicode(() => property.Name);

    private static string? TryText(JsonElement value) => Unicode(value.GetString);

    /// <summary>Null for lone surrogates and bytes that are not UTF-8, which the JSON reader reports only now.</summary>
    public static string? Unicode(Func<string?> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>A whole number, also when written like 16.0.</summary>
    public static long? Whole(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Number) return null;
        if (value.TryGetInt64(out var integer)) return integer;
        const double Limit = 9.2e18;
        return value.TryGetDouble(out var number) && Math.Abs(number) < Limit && number == Math.Floor(number) ? (long)number : null;
    }
}
