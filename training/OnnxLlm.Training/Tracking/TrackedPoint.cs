using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxLlm.Training.Tracking;

/// <summary>One record of a run as trackers take it: numbers and texts, each under the name it has in <c>metrics.jsonl</c>.</summary>
internal sealed record TrackedPoint(long Step, ImmutableArray<(string Name, double Value)> Numbers, ImmutableArray<(string Name, string Text)> Texts)
{
    /// <summary>Reads a line of the log. The values of a layer are named layers/LAYER/VALUE; an event's message has the name of its kind.</summary>
    public static TrackedPoint Of(JsonElement line)
    {
        var numbers = line.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Number && p.Name != "step").Select(p => (p.Name, p.Value.GetDouble()));
        var layers = line.TryGetProperty("layers", out var list) ? list.EnumerateArray().SelectMany(OfLayer) : [];
        return new TrackedPoint(line.GetProperty("step").GetInt64(), [.. numbers, .. layers], [.. TextsOf(line)]);
    }

    private static IEnumerable<(string, double)> OfLayer(JsonElement layer) =>
        layer.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Number).Select(p => ($"layers/{layer.GetProperty("layer").GetString()}/{p.Name}", p.Value.GetDouble()));

    private static IEnumerable<(string, string)> TextsOf(JsonElement line)
    {
        if (line.TryGetProperty("event", out var kind)) yield return ($"events/{kind.GetString()}", line.GetProperty("message").GetString()!);
        if (line.TryGetProperty("sample", out var sample)) yield return ("samples", $"**{line.GetProperty("prompt").GetString()}**{sample.GetString()}");
    }
}
