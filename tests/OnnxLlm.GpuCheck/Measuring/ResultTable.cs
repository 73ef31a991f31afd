using System.Globalization;
using System.Text.Json;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>What run.sh collected, as one short table beside the goals.</summary>
internal static class ResultTable
{
    /// <summary>Steps over which the end of a loss curve is averaged.</summary>
    private const int Window = 50;

    public static void Print(string folder, double peakTflops, TextWriter output)
    {
        var (ours, eager, compiled) = (Read(folder, "ours.json"), Read(folder, "torch-eager.json"), Read(folder, "torch-compiled.json"));
        output.WriteLine("| training GPT-2 124M, T = 1024, bf16 | step ms, median | tokens/s | MFU | memory MB | loss |");
        output.WriteLine("|---|---|---|---|---|---|");
        foreach (var result in new[] { ours, eager, compiled }.OfType<SpeedResult>()) output.WriteLine(Row(result, ours, peakTflops));
        if (ours is not null) foreach (string line in Goals(ours, eager, compiled, peakTflops)) output.WriteLine(line);
        foreach (string line in Curves(folder)) output.WriteLine(line);
        foreach (var decode in Decodes(folder))
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"- decode GPT-2 124M, {decode.Weights}, batch {decode.Batch}: {decode.TokensPerSecond:N0} tokens/s, weights and cache read at {decode.GigabytesPerSecond:N0} GB/s"));
    }

    private static string Row(SpeedResult r, SpeedResult? ours, double peak) => string.Create(CultureInfo.InvariantCulture,
        $"| {r.Name} | {r.StepMilliseconds:F1} | {r.TokensPerSecond:N0} | {Mfu(r, ours, peak):P1} | {r.MemoryMb?.ToString("N0", CultureInfo.InvariantCulture) ?? "–"} | {r.FirstLoss:F3} to {r.LastLoss:F3} |");

    /// <summary>One count of the arithmetic for all: ours.</summary>
    private static double Mfu(SpeedResult r, SpeedResult? ours, double peak) => (ours ?? r).FlopsPerToken * r.TokensPerSecond / (peak * 1e12);

    private static IEnumerable<string> Goals(SpeedResult ours, SpeedResult? eager, SpeedResult? compiled, double peak)
    {
        yield return Goal("tokens per second", ours.TokensPerSecond, 300_000);
        yield return Goal("MFU", Mfu(ours, ours, peak), 0.4);
        if (eager is not null) yield return Goal("speed over PyTorch eager", ours.TokensPerSecond / eager.TokensPerSecond, 1);
        if (compiled is not null) yield return Goal("speed over PyTorch compiled", ours.TokensPerSecond / compiled.TokensPerSecond, 0.8);
        if (eager?.MemoryMb / ours.MemoryMb is { } memory) yield return Goal("PyTorch's memory over ours", memory, 1);
    }

    private static string Goal(string name, double value, double goal) =>
        string.Create(CultureInfo.InvariantCulture, $"- {name}: {value:G4}, goal at least {goal:G4}: {(value >= goal ? "met" : "**missed**")}");

    private static IEnumerable<string> Curves(string folder)
    {
        if (End(folder, "fp32") is not { } single) yield break;
        foreach (string precision in (string[])["bf16", "fp16"])
            if (End(folder, precision) is { } loss)
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"- loss of {precision} after 500 steps: {loss:F4}, float32 {single:F4}, differs by {Math.Abs(loss / single - 1):P2}, goal at most 1 %: {(Math.Abs(loss / single - 1) <= 0.01 ? "met" : "**missed**")}");
    }

    private static IEnumerable<DecodeResult> Decodes(string folder)
    {
        string path = Path.Combine(folder, "decode.json");
        return File.Exists(path) ? File.ReadLines(path).Where(line => line.StartsWith('{')).Select(line => JsonSerializer.Deserialize<DecodeResult>(line)!) : [];
    }

    private static double? End(string folder, string run)
    {
        string path = Path.Combine(folder, run, "metrics.jsonl");
        if (!File.Exists(path)) return null;
        double[] losses = [.. File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement).Where(e => e.TryGetProperty("learning_rate", out _)).Select(e => e.GetProperty("loss").GetDouble())];
        return losses.Length < Window ? null : losses[^Window..].Average();
    }

    private static SpeedResult? Read(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        string text = File.Exists(path) ? File.ReadAllText(path).Trim() : "";
        return text.Length == 0 ? null : JsonSerializer.Deserialize<SpeedResult>(text);
    }
}
