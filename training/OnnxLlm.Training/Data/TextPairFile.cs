using System.Text.Json;
using OnnxLlm.Text.Corpora;

namespace OnnxLlm.Training.Data;

/// <summary>A text, and what a model is to say of it.</summary>
/// <param name="Place">The file and the line, for those who complain of it.</param>
/// <param name="Target">Its label, or the text that is to be written for it.</param>
internal sealed record TextPair(string Place, string Input, string Target);

/// <summary>Reads files with one JSON object per line that has two strings, such as <c>{"text": "…", "label": "…"}</c>; other keys and empty lines are passed over.</summary>
internal static class TextPairFile
{
    /// <param name="input">The name of the first string.</param>
    /// <param name="target">The name of the second.</param>
    /// <exception cref="TrainingException">A line is no such object; the message begins with "file:line".</exception>
    public static IEnumerable<TextPair> Read(string path, string input, string target) => ByteLines.Read(path).Index()
        .Where(line => line.Item.AsSpan().IndexOfAnyExcept(" \t\r"u8) >= 0)
        .Select(line => Parse($"{path}:{line.Index + 1}", line.Item, input, target));

    private static TextPair Parse(string place, byte[] line, string input, string target)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object
                ? new TextPair(place, Text(place, json.RootElement, input), Text(place, json.RootElement, target))
                : throw new TrainingException($"{place}: is not a JSON object with a string \"{input}\" and a string \"{target}\"");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)   // the latter: a string is not UTF-8
        {
            throw new TrainingException($"{place}: is not valid {(error is JsonException ? "JSON" : "UTF-8")}", error);
        }
    }

    private static string Text(string place, JsonElement line, string name) =>
        !line.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String ? throw new TrainingException($"{place}: has no string \"{name}\"")
        : value.GetString() is { Length: > 0 } text ? text
        : throw new TrainingException($"{place}: its \"{name}\" is empty");
}
