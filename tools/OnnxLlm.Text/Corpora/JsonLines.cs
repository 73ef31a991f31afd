using System.Text.Json;

namespace OnnxLlm.Text.Corpora;

/// <summary>Reads files with one JSON object per line: <c>{"text": "…", "id": …}</c>; the id is optional, other keys are passed over.</summary>
internal static class JsonLines
{
    /// <param name="file">The file.</param>
    /// <param name="report">Takes "file:line: reason" for a line that is no such object.</param>
    public static IEnumerable<SourceDocument> Read(SourceFile file, Action<string> report)
    {
        long number = 0;
        foreach (byte[] line in ByteLines.Read(file.Path))
        {
            number++;
            if (line.AsSpan().IndexOfAnyExcept(" \t\r"u8) < 0)
                continue;
            var document = Parse(line, file, number, out string problem);
            if (document is not null)
                yield return document;
            else
                report($"{file.Path}:{number}: {problem}");
        }
    }

    private static SourceDocument? Parse(byte[] line, SourceFile file, long number, out string problem)
    {
        problem = "is not a JSON object with a string \"text\"";
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("text", out var text) || text.ValueKind != JsonValueKind.String)
                return null;
            return new SourceDocument(Id(json.RootElement) ?? $"{file.Stem}:{number}", file.Name, text.GetString()!);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)   // the latter: a string is not UTF-8
        {
            problem = error is JsonException ? "is not valid JSON" : "is not valid UTF-8";
            return null;
        }
    }

    private static string? Id(JsonElement line) => line.TryGetProperty("id", out var id) && id.ValueKind is JsonValueKind.String or JsonValueKind.Number
        ? id.ToString() : null;
}
