using System.Text.Json;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Report;

/// <summary>What the log of a run says, kind by kind and in the order of steps; of a step taken again after a rollback, the last time counts.</summary>
internal sealed record RunHistory(
    IReadOnlyList<StepMetrics> Steps, IReadOnlyList<ValidationMetrics> Validations, IReadOnlyList<LayerReport> Layers, IReadOnlyList<TextSample> Samples, IReadOnlyList<RunEvent> Events)
{
    public static RunHistory Read(RunFolder folder)
    {
        List<JsonElement> lines = File.Exists(folder.Metrics) ? [.. MetricsLog.Lines(folder.Metrics)] : [];
        return new RunHistory(
            Latest(Of<StepMetrics>(lines, "learning_rate"), s => s.Step),
            Latest(Of<ValidationMetrics>(lines, "validation_tokens"), v => v.Step),
            Latest(Of<LayerReport>(lines, "layers"), l => l.Step),
            Of<TextSample>(lines, "sample"),
            Of<RunEvent>(lines, "event"));
    }

    private static List<T> Of<T>(List<JsonElement> lines, string mark) => [.. lines.Where(l => l.TryGetProperty(mark, out _)).Select(MetricsLog.Read<T>)];

    private static List<T> Latest<T>(List<T> records, Func<T, long> step) => [.. records.GroupBy(step).Select(g => g.Last()).OrderBy(step)];
}
