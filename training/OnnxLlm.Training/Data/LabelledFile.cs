using System.Text.Json;
using OnnxLlm.Text.Corpora;

namespace OnnxLlm.Training.Data;

/// <summary>A text and its label.</summary>
/// <param name="Place">The file and the line, for those who complain of it.</param>
internal sealed record LabelledLine(string Place, string Text, string Label);

/// <summary>Reads files with one JSON object per line, <c>{"text": "…", "label": "…"}</c>; other keys and empty lines are passed over.</summary>
internal static class LabelledFile
{
    /// <exception cref="TrainingException">A line is no such object; the message begins with "file:line".</exception>
    public static IEnumerable<LabelledLine> Read(string path) => ByteLines.Read(path).Index()
        .Where(line => line.Item.AsSpan().IndexOfAnyExcept(" \t\r"u8) >= 0)
        .Select(line => Parse($"{path}:{line.Index + 1}", line.Item));

    private static LabelledLine Parse(string place, byte[] line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object
                ? new LabelledLine(place, Text(place, json.RootElement, "text"), Text(place, json.RootElement, "label"))
                : throw new TrainingException($"{place}: is not a JSON object with a \"text\" and a \"label\"");
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
