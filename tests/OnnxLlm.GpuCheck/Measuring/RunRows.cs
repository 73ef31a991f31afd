using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What the logs of the runner's runs tell: losses in each precision, a resume, what was done about too little memory, and what the GPU drew.</summary>
/// <param name="folder">Of the results; each run has its own folder in it.</param>
internal sealed class RunRows(string folder)
{
    /// <summary>Steps over which a loss curve is averaged.</summary>
    private const int Window = 50;

    private static readonly string[] Precisions = ["fp32", "bf16", "fp16"];

    public IEnumerable<string> All() => Curves().Concat(Resumed()).Concat(OutOfMemory()).Concat(Use());

    /// <summary>The mean of every 50 steps beside that of float32: the largest difference, and the one at the end.</summary>
    private IEnumerable<string> Curves()
    {
        double[] single = Means("fp32");
        foreach (string precision in Precisions[1..])
        {
            double[] differences = [.. single.Zip(Means(precision), (s, l) => Math.Abs(l / s - 1))];
            if (differences.Length == 0) continue;
            double largest = differences.Aggregate(0.0, Math.Max);
            yield return string.Create(CultureInfo.InvariantCulture,
                $"- loss of {precision}: {Means(precision)[^1]:F4} at the end, float32 {single[^1]:F4}; means of {Window} steps differ by at most {largest:P2}, at the end by {differences[^1]:P2}, goal at most 1 %: {(largest <= 0.01 ? "met" : "**missed**")}");
        }
    }

    private double[] Means(string run) => [.. Losses(run).Chunk(Window).Where(steps => steps.Length == Window).Select(steps => steps.Average())];

    private IEnumerable<string> Resumed()
    {
        double[] straight = Losses("straight"), resumed = Losses("resumed");
        if (straight.Length == 0 || straight.Length != resumed.Length) yield break;
        double largest = straight.Zip(resumed, (s, r) => Math.Abs(r / s - 1)).Aggregate(0.0, Math.Max);
        yield return string.Create(CultureInfo.InvariantCulture, $"- resumed half-way of {straight.Length} steps beside straight on: losses differ by at most {largest:E1}; {Event("resumed", "resumed")}");
    }

    private IEnumerable<string> OutOfMemory()
    {
        if (!File.Exists(Log("oom"))) return [];
        return [Event("oom", "out of memory") is { } told ? $"- with less memory than a micro-batch takes: {told}" : "- with less memory than a micro-batch takes: **it sufficed**, nothing was shown"];
    }

    private IEnumerable<string> Use()
    {
        foreach (string run in Precisions)
            if (Steps(run).LastOrDefault() is { ValueKind: JsonValueKind.Object } last && last.TryGetProperty("gpu_utilization", out var use))
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"- the GPU in the run in {run}: {use.GetDouble():P0} busy, {Number(last, "gpu_memory_mb")} MB, {Number(last, "gpu_watts")} W, {Number(last, "energy_kwh")} kWh");
    }

    private static string Number(JsonElement step, string name) => step.TryGetProperty(name, out var value) ? value.GetDouble().ToString("G4", CultureInfo.InvariantCulture) : "–";

    private string? Event(string run, string kind) =>
        Lines(run).Where(e => e.TryGetProperty("event", out var found) && found.GetString() == kind).Select(e => e.GetProperty("message").GetString()).LastOrDefault();

    private double[] Losses(string run) => [.. Steps(run).Select(e => e.TryGetProperty("loss", out var loss) ? loss.GetDouble() : double.NaN)];

    private IEnumerable<JsonElement> Steps(string run) => Lines(run).Where(e => e.TryGetProperty("learning_rate", out _));

    private IEnumerable<JsonElement> Lines(string run) => File.Exists(Log(run)) ? File.ReadLines(Log(run)).Select(line => JsonDocument.Parse(line).RootElement) : [];

    private string Log(string run) => Path.Combine(folder, run, "metrics.jsonl");
}
