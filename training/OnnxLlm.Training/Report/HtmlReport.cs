using System.Collections.Immutable;
using System.Net;
using System.Text;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Commands;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Report;

/// <summary>One page about a run, complete in itself: curves, samples, tables, events. It needs no network and no script, and follows the reader's light or dark.</summary>
internal static class HtmlReport
{
    public const string FileName = "report.html";

    /// <summary>Writes the page; it appears whole or not at all.</summary>
    /// <param name="package">The quantized package of the run's model, for the page to say what that cost; null for none.</param>
    public static string Write(RunFolder folder, string? path = null, string? package = null)
    {
        path ??= Path.Combine(folder.Root, FileName);
        var page = Encoding.UTF8.GetBytes(Page(folder, package));
        AtomicFile.Write(path, stream => stream.Write(page));
        return path;
    }

    private static string Page(RunFolder folder, string? package)
    {
        var (record, history, name) = (folder.Read(), RunHistory.Read(folder), folder.Name);
        var model = record.Config.Model;
        return $"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Encode(name)}</title><style>{ReportStyle.Sheet}</style></head><body>
            <header><h1>{Encode(name)}</h1><p>{Encode($"{model.ModelType}, {model.Layers} layers of width {model.Width}, {Numbers.Short(record.Parameters)} parameters · {record.Config.Optimizer.Type} · begun {record.Started}")}</p></header>
            {ReportTables.Tiles(history)}
            <section class="charts">{string.Concat(Charts(history).Select(chart => chart.Html()))}</section>
            {ReportTables.Events(history)}
            {ReportTables.Samples(history)}
            {QuantizationTable.Html(folder, package)}
            {ReportTables.Layers(history)}
            {ReportTables.Validations(history)}
            {ReportTables.Facts("Data", [.. ShowCommand.Facts(folder).Where(f => f.Name.StartsWith("data.", StringComparison.Ordinal))])}
            {ReportTables.Facts("Everything else on record", [.. ShowCommand.Facts(folder).Where(f => !f.Name.StartsWith("data.", StringComparison.Ordinal))])}
            </body></html>

            """;
    }

    private static ImmutableArray<Chart> Charts(RunHistory h)
    {
        var loss = Curve.Of("each step", "a faint", h.Steps, s => s.Step, s => s.Loss);
        ImmutableArray<(long, string)> marks = [.. h.Events.Where(e => ReportTables.IsAlarm(e)).Select(e => (e.Step, e.Message))];
        return
        [
            new("Loss (nats per label)", [loss, loss.Smoothed("training", "a"), Curve.Of("validation", "b", h.Validations, v => v.Step, v => v.ValidationLoss)], marks, v => Numbers.Text(v, "0.0##")),
            new("Perplexity of the validation set", [Curve.Of("validation", "b", h.Validations, v => v.Step, v => v.ValidationPerplexity)], [], Numbers.Short),
            new("Accuracy on the validation set", [Curve.Of("accuracy", "b", h.Validations, v => v.Step, v => v.ValidationAccuracy), Curve.Of("of the most frequent label alone", "a", h.Validations, v => v.Step, v => v.MajorityAccuracy)], [], Percent),
            new("Learning rate", [Curve.Of("learning rate", "a", h.Steps, s => s.Step, s => s.LearningRate)], [], Numbers.Rate),
            new("Gradient norm, before clipping", [Curve.Of("norm", "a", h.Steps, s => s.Step, s => s.GradientNorm)], marks, v => Numbers.Text(v, "0.##")),
            new("Throughput (tokens per second)", [Curve.Of("tokens/s", "a", h.Steps, s => s.Step, s => s.TokensPerSecond)], [], Numbers.Short),
            new("Share of the machine's peak (MFU)", [Curve.Of("MFU", "a", h.Steps, s => s.Step, s => s.Mfu)], [], Percent),
            new("Share of the threads' time", [Curve.Of("computing", "a", h.Steps, s => s.Step, s => s.CpuShare), Curve.Of("waiting for data", "b", h.Steps, s => s.Step, s => s.DataWait)], [], Percent),
            new("Resident memory (MB)", [Curve.Of("resident", "a", h.Steps, s => s.Step, s => s.ResidentMb)], [], Numbers.Short),
            new("GPU: time in kernels", [Curve.Of("utilisation", "a", h.Steps, s => s.Step, s => s.GpuUtilization)], [], Percent),
            new("GPU: memory (MB)", [Curve.Of("in use", "a", h.Steps, s => s.Step, s => s.GpuMemoryMb)], [], Numbers.Short),
            new("GPU: power (W)", [Curve.Of("drawn", "a", h.Steps, s => s.Step, s => s.GpuWatts)], [], Numbers.Short),
        ];
    }

    private static string Percent(double share) => Numbers.Text(share * 100, "0.#") + " %";

    internal static string Encode(string text) => WebUtility.HtmlEncode(text);
}
