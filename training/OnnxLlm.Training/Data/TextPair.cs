using System.Text.Json;

namespace OnnxLlm.Training.Data;

/// <summary>A text, and what is to be written for it.</summary>
internal sealed record TextPair(string Input, string Target)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true };

    /// <summary>Reads a file with a pair per line: <c>{"input": "…", "target": "…"}</c>; other keys and blank lines are passed over.</summary>
    /// <exception cref="TrainingException">A line is no pair, which is said with its number, or there is none, or no file.</exception>
    public static TextPair[] Read(string path)
    {
        if (!File.Exists(path)) throw new TrainingException($"data: there is no {path}; it holds a line {{\"input\": \"…\", \"target\": \"…\"}} for each text.");
        TextPair[] pairs = [.. File.ReadLines(path).Index().Where(line => !string.IsNullOrWhiteSpace(line.Item)).Select(line => Parse(line.Item, $"{path}:{line.Index + 1}"))];
        return pairs.Length > 0 ? pairs : throw new TrainingException($"data: {path} holds no pair.");
    }

    private static TextPair Parse(string line, string place)
    {
        try
        {
            var pair = JsonSerializer.Deserialize<TextPair>(line, Format);
            return pair is { Input.Length: > 0, Target.Length: > 0 } ? pair : throw new TrainingException($"{place}: {(pair is null ? "is null" : "the input or the target is empty")}.");
        }
        catch (JsonException)
        {
            throw new TrainingException($$"""{{place}}: is not {"input": "text", "target": "text"}.""");
        }
    }
}
