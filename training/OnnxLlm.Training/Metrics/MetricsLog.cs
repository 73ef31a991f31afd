using System.Text.Json;
using System.Text.Json.Serialization;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Tracking;

namespace OnnxLlm.Training.Metrics;

/// <summary>
/// <c>metrics.jsonl</c>: one JSON object per line, each with its step, flushed as it is written. A resumed run drops the lines after its
/// checkpoint, so that the file replays to the curve of one uninterrupted run.
/// </summary>
internal sealed class MetricsLog : IDisposable
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly FileStream _file;
    private readonly Trackers? _trackers;

    private MetricsLog(string path, Trackers? trackers) =>
        (_file, _trackers) = (new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read), trackers);

    /// <summary>
    /// Opens the log to go on after <paramref name="step"/>; lines of later steps and a line cut off by a kill are dropped.
    /// What is appended also goes to the <paramref name="trackers"/>.
    /// </summary>
    public static MetricsLog Open(string path, long step, Trackers? trackers = null)
    {
        if (File.Exists(path))
        {
            var kept = Lines(path).Where(line => line.GetProperty("step").GetInt64() <= step).Select(line => line.GetRawText()).ToList();
            AtomicFile.Write(path, stream =>
            {
                using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
                foreach (var line in kept) writer.WriteLine(line);
            });
        }
        return new MetricsLog(path, trackers);
    }

    /// <summary>The well-formed lines of a log.</summary>
    public static IEnumerable<JsonElement> Lines(string path)
    {
        foreach (var line in File.ReadLines(path))
            if (Parse(line) is { ValueKind: JsonValueKind.Object } element && element.TryGetProperty("step", out _)) yield return element;
    }

    /// <summary>The logged steps among the lines of a log.</summary>
    public static IEnumerable<StepMetrics> Steps(string path) => Lines(path).Where(line => line.TryGetProperty("learning_rate", out _)).Select(Read<StepMetrics>);

    /// <summary>The record that a line holds.</summary>
    public static T Read<T>(JsonElement line) => line.Deserialize<T>(Options)!;

    public void Append<T>(T record)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(record, Options);
        try
        {
            _file.Write([.. line, (byte)'\n']);
            _file.Flush();
        }
        catch (IOException e)
        {
            throw new TrainingException($"A line of metrics could not be written: {e.Message.TrimEnd('.')}. The checkpoints are untouched.", e);
        }
        _trackers?.Record(line);
    }

    public void Dispose() => _file.Dispose();

    private static JsonElement? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
