using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What run.sh collected, as one short table beside the goals. What failed has its row too, with the reason.</summary>
/// <param name="folder">Of the results.</param>
/// <param name="peakTflops">The card's.</param>
/// <param name="peakBandwidth">The card's, in GB/s.</param>
internal sealed class ResultTable(string folder, double peakTflops, double peakBandwidth)
{
    private readonly Dictionary<string, (string Seconds, string Outcome)> _stages = File.Exists(Path.Combine(folder, "stages.tsv"))
        ? File.ReadLines(Path.Combine(folder, "stages.tsv")).Select(line => line.Split('\t')).ToDictionary(c => c[0], c => (c[1], c[2]))
        : [];

    public void Print(TextWriter output)
    {
        foreach (string line in Training().Concat(Verified()).Concat(Placements()).Concat(new RunRows(folder).All()).Concat(Decodes()).Concat(Served()).Concat(Weights()).Concat(KernelTimes.Summary(Path.Combine(folder, "kernels.json"))).Concat(Failures()))
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

    internal static string Goal(string name, double value, double goal) =>
        string.Create(CultureInfo.InvariantCulture, $"- {name}: {value:G4}, goal at least {goal:G3}: {(value >= goal ? "met" : "**missed**")}");

    private IEnumerable<string> Placements() => Read<Placement>("profile").Select(p => string.Create(CultureInfo.InvariantCulture,
        $"- profile of {p.Graph}: {string.Join(", ", p.Providers.Select(n => $"{n.Value} nodes on {n.Key}"))}, {p.Copies} copies to or from the host"));

    /// <summary>Each thing that was compared with the CPU, in its own words.</summary>
    private IEnumerable<string> Verified() => Lines("verify").Where(line => line.StartsWith("verify ", StringComparison.Ordinal)).Select(line => $"- {line}");

    private IEnumerable<string> Decodes() => Read<DecodeResult>("decode").Select(d => string.Create(CultureInfo.InvariantCulture,
        $"- decode GPT-2 124M, {d.Weights}, batch {d.Batch}: {d.TokensPerSecond:N0} tokens/s, weights and cache read at {d.GigabytesPerSecond:N0} GB/s, {Bandwidth(d)}"));

    /// <summary>One sequence is bound by memory, many are not.</summary>
    private string Bandwidth(DecodeResult d) => d.Batch == 1
        ? Goal("of the card's bandwidth", d.GigabytesPerSecond / peakBandwidth, 0.6)[2..]
        : string.Create(CultureInfo.InvariantCulture, $"{d.GigabytesPerSecond / peakBandwidth:P0} of the card's bandwidth");

    private IEnumerable<string> Served() => Read<ServeResult>("serve").Select(s => string.Create(CultureInfo.InvariantCulture,
        $"- {s.Clients} clients over HTTP: {s.TokensPerSecond:N0} tokens/s, {Goal("of the bare loop", s.TokensPerSecond / s.BareTokensPerSecond, 0.9)[2..]}"));

    private IEnumerable<string> Weights() => Read<WeightSpeed>("speed").Select(w => string.Create(CultureInfo.InvariantCulture,
        $"- 8-bit weights beside the same as float16, batch {w.Sequences}: {w.Quantized:N0} and {w.Float:N0} tokens/s, {(w.Quantized >= w.Float ? "8-bit weights" : "floats")} are faster"));

    private IEnumerable<string> Failures() => _stages.Where(s => s.Value.Outcome != "ok").Select(s => s.Value.Outcome.StartsWith("not measured", StringComparison.Ordinal)
        ? $"- {s.Key}: {s.Value.Outcome}"
        : $"- **FAILED** {s.Key}, after {s.Value.Seconds} s: {s.Value.Outcome}");

    /// <summary>What a stage printed; a stage that was stopped may have printed a part.</summary>
    private IEnumerable<T> Read<T>(string stage) => Lines(stage).Where(line => line.StartsWith('{') && line.EndsWith('}')).Select(line => JsonSerializer.Deserialize<T>(line)!);

    private IEnumerable<string> Lines(string stage) => Path.Combine(folder, $"{stage}.json") is var path && File.Exists(path) ? File.ReadLines(path) : [];
}
