using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What run.sh collected, as one short table beside the goals. What failed has its row too, with the reason.</summary>
/// <param name="folder">Of the results.</param>
/// <param name="peakTflops">The card's.</param>
internal sealed class ResultTable(string folder, double peakTflops)
{
    /// <summary>Steps over which the end of a loss curve is averaged.</summary>
    private const int Window = 50;

    private readonly Dictionary<string, (string Seconds, string Outcome)> _stages = File.Exists(Path.Combine(folder, "stages.tsv"))
        ? File.ReadLines(Path.Combine(folder, "stages.tsv")).Select(line => line.Split('\t')).ToDictionary(c => c[0], c => (c[1], c[2]))
        : [];

    public void Print(TextWriter output)
    {
        foreach (string line in Training().Concat(Placements()).Concat(Curves()).Concat(Decodes()).Concat(Served()).Concat(KernelTimes.Summary(Path.Combine(folder, "kernels.json"))).Concat(Failures()))
            output.WriteLine(line);
    }

    private IEnumerable<string> Training()
    {
        yield return "| training GPT-2 124M, T = 1024, bf16 | step ms, median | tokens/s | MFU | memory MB | loss |";
        yield return "|---|---|---|---|---|---|";
        var ours = Read<SpeedResult>("train").FirstOrDefault();
        foreach (string stage in (string[])["train", "recompute", "torch-eager", "torch-compiled"])
            if (Read<SpeedResult>(stage).FirstOrDefault() is { } result) yield return Row(result, ours);
            else if (_stages.TryGetValue(stage, out var tried)) yield return $"| {stage}: {tried.Outcome} | – | – | – | – | – |";
        foreach (string line in ours is null ? [] : Goals(ours)) yield return line;
    }

    private string Row(SpeedResult r, SpeedResult? ours) => string.Create(CultureInfo.InvariantCulture,
        $"| {r.Name} | {r.StepMilliseconds:F1} | {r.TokensPerSecond:N0} | {Mfu(r, ours):P1} | {r.MemoryMb?.ToString("N0", CultureInfo.InvariantCulture) ?? "–"} | {r.FirstLoss:F3} to {r.LastLoss:F3} |");

    /// <summary>One count of the arithmetic for all: ours.</summary>
    private double Mfu(SpeedResult r, SpeedResult? ours) => (ours ?? r).FlopsPerToken * r.TokensPerSecond / (peakTflops * 1e12);

    private IEnumerable<string> Goals(SpeedResult ours)
    {
        yield return Goal("tokens per second", ours.TokensPerSecond, 300_000);
        yield return Goal("MFU", Mfu(ours, ours), 0.4);
        var (eager, compiled) = (Read<SpeedResult>("torch-eager").FirstOrDefault(), Read<SpeedResult>("torch-compiled").FirstOrDefault());
        if (eager is not null) yield return Goal("speed over PyTorch eager", ours.TokensPerSecond / eager.TokensPerSecond, 1);
        if (compiled is not null) yield return Goal("speed over PyTorch compiled", ours.TokensPerSecond / compiled.TokensPerSecond, 0.8);
        if (eager?.MemoryMb / ours.MemoryMb is { } memory) yield return Goal("PyTorch's memory over ours", memory, 1);
        if (Read<SpeedResult>("recompute").FirstOrDefault() is not { } recompute) yield break;
        yield return Goal("speed with activations computed again", recompute.TokensPerSecond / ours.TokensPerSecond, 1 / 1.4);
        if (1 - recompute.MemoryMb / ours.MemoryMb is { } saved) yield return Goal("memory that this saves, of all of the device's", saved, 0.4);
    }

    private static string Goal(string name, double value, double goal) =>
        string.Create(CultureInfo.InvariantCulture, $"- {name}: {value:G4}, goal at least {goal:G3}: {(value >= goal ? "met" : "**missed**")}");

    private IEnumerable<string> Placements() => Read<Placement>("profile").Select(p => string.Create(CultureInfo.InvariantCulture,
        $"- profile of {p.Graph}: {string.Join(", ", p.Providers.Select(n => $"{n.Value} nodes on {n.Key}"))}, {p.Copies} copies to or from the host"));

    private IEnumerable<string> Curves()
    {
        if (End("fp32") is not { } single) yield break;
        foreach (string precision in (string[])["bf16", "fp16"])
            if (End(precision) is { } loss)
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"- loss of {precision} at the end: {loss:F4}, float32 {single:F4}, differs by {Math.Abs(loss / single - 1):P2}, goal at most 1 %: {(Math.Abs(loss / single - 1) <= 0.01 ? "met" : "**missed**")}");
    }

    private IEnumerable<string> Decodes() => Read<DecodeResult>("decode").Select(d => string.Create(CultureInfo.InvariantCulture,
        $"- decode GPT-2 124M, {d.Weights}, batch {d.Batch}: {d.TokensPerSecond:N0} tokens/s, weights and cache read at {d.GigabytesPerSecond:N0} GB/s"));

    private IEnumerable<string> Served() => Read<ServeResult>("serve").Select(s => string.Create(CultureInfo.InvariantCulture,
        $"- {s.Clients} clients over HTTP: {s.TokensPerSecond:N0} tokens/s, {Goal("of the bare loop", s.TokensPerSecond / s.BareTokensPerSecond, 0.9)[2..]}"));

    private IEnumerable<string> Failures() => _stages.Where(s => s.Value.Outcome != "ok").Select(s => $"- **FAILED** {s.Key}, after {s.Value.Seconds} s: {s.Value.Outcome}");

    private double? End(string run)
    {
        string path = Path.Combine(folder, run, "metrics.jsonl");
        if (!File.Exists(path)) return null;
        double[] losses = [.. File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement).Where(e => e.TryGetProperty("learning_rate", out _)).Select(e => e.GetProperty("loss").GetDouble())];
        return losses.Length < Window ? null : losses[^Window..].Average();
    }

    /// <summary>What a stage printed; a stage that was stopped may have printed a part.</summary>
    private IEnumerable<T> Read<T>(string stage)
    {
        string path = Path.Combine(folder, $"{stage}.json");
        return File.Exists(path) ? File.ReadLines(path).Where(line => line.StartsWith('{') && line.EndsWith('}')).Select(line => JsonSerializer.Deserialize<T>(line)!) : [];
    }
}
