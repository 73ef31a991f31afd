using System.Globalization;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;

namespace OnnxLlm.Training.Report;

/// <summary>The parts of the report that are words and numbers.</summary>
internal static class ReportTables
{
    /// <summary>Events that are no news of the ordinary kind.</summary>
    public static bool IsAlarm(RunEvent e) => e.Event is "health" or "skipped" or "spike" or "rollback";

    public static string Tiles(RunHistory h)
    {
        var (best, last) = (h.Validations.MinBy(v => v.ValidationLoss ?? double.MaxValue), h.Steps is [.., var s] ? s : null);
        (string Name, string Value, string More)[] tiles =
        [
            ("validation loss", Numbers.Loss(best?.ValidationLoss), best is null ? "not measured" : $"± {Numbers.Loss(best.StandardError)}, at step {best.Step}"),
            Quality(best),
            ("training loss", Numbers.Loss(last?.Loss), "of the last logged step"),
            ("steps", last is null ? "0" : last.Step.ToString("#,0", CultureInfo.InvariantCulture), last is null ? "" : $"{Numbers.Short(last.Tokens)} tokens"),
            ("speed", Median(h.Steps, s => s.TokensPerSecond), $"tokens/s, {Median(h.Steps, s => s.ModelGflops)} GFLOP/s: medians"),
            ("time", last is null ? "–" : Numbers.Time(TimeSpan.FromSeconds(last.ElapsedSeconds)), $"{Count(h.Events.Count(IsAlarm), "alarm")}, {last?.Skipped ?? 0} skipped"),
        ];
        if (last?.EnergyKwh is { } kwh)
            tiles = [.. tiles, ("energy", $"{Numbers.Text(kwh, kwh < 10 ? "0.###" : "#,0")} kWh", last.Co2Grams is { } grams ? $"of the GPU, {Numbers.Text(grams / 1e3, "0.###")} kg CO2" : "of the GPU")];
        return $"<section class='tiles'>{string.Concat(tiles.Select(t => $"<div><small>{t.Name}</small><b>{t.Value}</b><small>{t.More}</small></div>"))}</section>";
    }

    private static (string Name, string Value, string More) Quality(ValidationMetrics? best) => best?.ValidationAccuracy is { } accuracy
        ? ("accuracy", Numbers.Share(accuracy), $"of the best validation; of the most frequent label alone {Numbers.Share(best.MajorityAccuracy)}")
        : ("perplexity", best?.ValidationPerplexity is { } p ? Numbers.Text(p, p < 100 ? "0.00" : "0.0") : "–", "of the best validation");

    public static string Events(RunHistory h)
    {
        var alarms = h.Events.Where(IsAlarm).ToList();
        var table = alarms.Count == 0 ? "<p>Nothing was out of order.</p>" : Rows(alarms);
        return $"<section><h2>Health</h2>{table}<details><summary>All {h.Events.Count} events</summary>{Rows(h.Events)}</details></section>";

        static string Rows(IEnumerable<RunEvent> events) =>
            Table(["step", "event", ""], events.Select(e => new[] { Step(e.Step), e.Event, e.Message }));
    }

    public static string Samples(RunHistory h)
    {
        if (h.Samples.Count == 0) return "";
        var last = h.Samples[^1].Step;
        return $"<section><h2>Samples</h2>{List(h.Samples.Where(s => s.Step == last))}<details><summary>All {h.Samples.Count} samples</summary>{List(h.Samples)}</details></section>";

        static string List(IEnumerable<TextSample> samples) =>
            string.Concat(samples.Select(s => $"<blockquote><small>step {Step(s.Step)}</small><p><b>{HtmlReport.Encode(s.Prompt)}</b>{HtmlReport.Encode(s.Sample)}</p></blockquote>"));
    }

    public static string Layers(RunHistory h) => h.Layers.Count == 0 ? "" : $"<section><h2>Layers, at step {Step(h.Layers[^1].Step)}</h2>" + Table(
        ["layer", "gradient norm", "weight norm", "activation mean", "deviation", "largest"],
        h.Layers[^1].Layers.Select(l => new[] { l.Layer, Short(l.GradientNorm), Short(l.WeightNorm), Short(l.ActivationMean), Short(l.ActivationDeviation), Short(l.ActivationMax) })) + "</section>";

    public static string Validations(RunHistory h) => h.Validations.Count == 0 ? "" : "<section><details><summary>All validations</summary>" + Table(
        ["step", "loss", "standard error", "perplexity", "accuracy", "labels", "seconds"],
        h.Validations.Select(v => new[]
        {
            Step(v.Step), Numbers.Loss(v.ValidationLoss), Numbers.Loss(v.StandardError), Short(v.ValidationPerplexity), Numbers.Share(v.ValidationAccuracy), Step(v.ValidationTokens), Numbers.Text(v.Seconds, "0.00"),
        })) + "</details></section>";

    public static string Facts(string title, IReadOnlyCollection<(string Name, string Value)> facts) =>
        $"<section><details><summary>{HtmlReport.Encode(title)}</summary>{Table(["", ""], facts.Select(f => new[] { f.Name, f.Value }))}</details></section>";

    public static string Section(string title, string content) => $"<section><h2>{HtmlReport.Encode(title)}</h2>{content}</section>";

    public static string Table(string[] head, IEnumerable<string[]> rows) =>
        $"<div class='scroll'><table><thead><tr>{Cells("th", head)}</tr></thead><tbody>{string.Concat(rows.Select(row => $"<tr>{Cells("td", row)}</tr>"))}</tbody></table></div>";

    private static string Cells(string tag, string[] cells) => string.Concat(cells.Select(cell => $"<{tag}>{HtmlReport.Encode(cell)}</{tag}>"));

    private static string Median(IEnumerable<StepMetrics> steps, Func<StepMetrics, double?> value)
    {
        double[] sorted = [.. steps.Select(value).OfType<double>().Order()];
        return sorted.Length == 0 ? "–" : Numbers.Short(sorted[sorted.Length / 2]);
    }

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";

    private static string Step(long step) => step.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Short(double? value) => value is { } v ? v.ToString("0.####", CultureInfo.InvariantCulture) : "–";
}
