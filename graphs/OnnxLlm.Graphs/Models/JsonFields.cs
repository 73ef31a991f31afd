using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.Graphs.Models;

/// <summary>
/// Reads the members of a JSON object one by one and collects what is wrong instead of stopping at the first mistake.
/// A member that is null counts as absent.
/// </summary>
internal sealed class JsonFields(JsonElement json)
{
    private readonly HashSet<string> _known = [];

    public List<string> Mistakes { get; } = [];

    public bool Has(string name) => Find(name) is not null;

    /// <summary>A required text; null, with a mistake noted, where it is missing.</summary>
    public string? Text(string name)
    {
        if (Find(name) is not { } value) Mistakes.Add($"'{name}' is missing.");
        else if (value.ValueKind == JsonValueKind.String) return value.GetString();
        else Mistake(name, "a text", value);
        return null;
    }

    /// <summary>A whole number; 1 stands in for a mistake so that reading can go on.</summary>
    public int Int(string name, int? otherwise = null)
    {
        if (Find(name) is not { } value)
        {
            if (otherwise is null) Mistakes.Add($"'{name}' is missing.");
            return otherwise ?? 1;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number)) return number;
        Mistake(name, "a whole number", value);
        return 1;
    }

    public double Number(string name, double otherwise)
    {
        if (Find(name) is not { } value) return otherwise;
        if (value.ValueKind == JsonValueKind.Number) return value.GetDouble();
        Mistake(name, "a number", value);
        return otherwise;
    }

    public bool Flag(string name, bool otherwise)
    {
        if (Find(name) is not { } value) return otherwise;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        Mistake(name, "true or false", value);
        return otherwise;
    }

    /// <summary>A token id, or a list of them, whose first is taken.</summary>
    public int? Token(string name)
    {
        if (Find(name) is not { } value) return null;
        var first = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().FirstOrDefault() : value;
        if (first.ValueKind == JsonValueKind.Number && first.TryGetInt32(out int id)) return id;
        Mistake(name, "a token id", value);
        return null;
    }

    /// <summary>The texts of a list; none where it is absent.</summary>
    public IReadOnlyList<string> Names(string name)
    {
        if (Find(name) is not { } value) return [];
        if (value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)) return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        Mistake(name, "a list of texts", value);
        return [];
    }

    /// <summary>The texts of an object whose keys are the numbers 0, 1, …, in their order; null where it is absent.</summary>
    public IReadOnlyList<string>? Numbered(string name)
    {
        if (Find(name) is not { } value) return null;
        var texts = value.ValueKind == JsonValueKind.Object ? value.EnumerateObject().ToDictionary(p => p.Name, p => p.Value) : [];
        string[] keys = [.. Enumerable.Range(0, texts.Count).Select(i => i.ToString(CultureInfo.InvariantCulture))];
        if (keys.Length > 0 && keys.All(key => texts.TryGetValue(key, out var text) && text.ValueKind == JsonValueKind.String)) return [.. keys.Select(key => texts[key].GetString()!)];
        Mistake(name, "an object of texts with the keys 0, 1, …", value);
        return [];
    }

    /// <summary>A setting of which only one value is supported; null: it must be absent.</summary>
    public void Only(string name, object? supported)
    {
        if (Find(name) is not { } value) return;
        string expected = supported is null ? "null" : JsonSerializer.Serialize(supported);
        if (value.GetRawText() != expected) Mistakes.Add($"'{name}' {value.GetRawText()} is not supported, only {expected}.");
    }

    public void Ignore(params ReadOnlySpan<string> names) => _known.UnionWith(names.ToArray());

    public void RejectUnknown()
    {
        foreach (string name in json.EnumerateObject().Select(p => p.Name).Where(n => !_known.Contains(n)))
            Mistakes.Add($"There is no setting '{name}'.{NearestName.Hint(name, _known)}");
    }

    private JsonElement? Find(string name)
    {
        _known.Add(name);
        return json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private void Mistake(string name, string expected, JsonElement got) =>
        Mistakes.Add(string.Create(CultureInfo.InvariantCulture, $"'{name}' must be {expected}, got {got.GetRawText()}."));
}
