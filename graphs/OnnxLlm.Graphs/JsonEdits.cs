using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs;

/// <summary>Edits of a config from the command line, as in <c>--set optimizer.learning_rate=3e-4</c>.</summary>
public static class JsonEdits
{
    /// <summary>Applies one "section.key=value"; the value is JSON where it parses as JSON, else a text. Returns what is wrong with it, or null.</summary>
    public static string? Apply(JsonObject root, string assignment)
    {
        var (key, value) = assignment.IndexOf('=') is > 0 and var at ? (assignment[..at], assignment[(at + 1)..]) : ("", "");
        if (key == "") return $"--set {assignment}: expected key=value";

        string[] path = key.Split('.');
        var section = root;
        foreach (string name in path[..^1])
        {
            if (section[name] is not null and not JsonObject) return $"--set {assignment}: '{name}' is not a section";
            section = (JsonObject)(section[name] ??= new JsonObject());
        }
        section[path[^1]] = Value(value);
        return null;
    }

    private static JsonNode? Value(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }
}
