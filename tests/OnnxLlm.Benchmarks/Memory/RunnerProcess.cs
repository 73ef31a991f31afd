using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>What a training run took: the most memory resident, what was predicted of it, the median time of its steps, and the loss of each.</summary>
internal sealed record TrainingUse(double PeakBytes, double PredictedBytes, double StepMilliseconds, IReadOnlyList<double> Losses, double OthersShare)
{
    /// <summary>Memory between steps, when the update is done: the median, as the runner logs it.</summary>
    public double ResidentBytes { get; init; }

    public double Loss => Losses[^1];

    public double PredictionError => PredictedBytes / PeakBytes - 1;
}

/// <summary>The real training runner as a process of its own, watched until it ends.</summary>
/// <param name="garbage">Bytes of garbage that the collector waits for; 0: as many as the processor's last-level cache has.</param>
internal sealed class RunnerProcess(string config, string data, string folder, int threads, long garbage = 0)
{
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(20);

    /// <summary>Only the loss of each step.</summary>
    public IReadOnlyList<double> Losses(MemoryCase measured)
    {
        Watch(Arguments(measured, out string run));
        return [.. Steps(run).Select(step => step.GetProperty("loss").GetDouble())];
    }

    public TrainingUse Run(MemoryCase measured)
    {
        string[] arguments = Arguments(measured, out string run);
        double predicted = Predict(arguments);
        var machine = new ProcessorTime(TimeProvider.System);
        var (peak, busy) = Watch(arguments, garbage);
        JsonElement[] steps = Steps(run);
        return new(peak, predicted, StepTime(steps), [.. steps.Select(step => step.GetProperty("loss").GetDouble())], machine.OthersShare(busy))
        {
            ResidentBytes = 1e6 * Summary.Of(steps.Select(step => step.GetProperty("resident_mb").GetDouble())).Median,
        };
    }

    private string[] Arguments(MemoryCase measured, out string run)
    {
        run = Path.Combine(folder, measured.Name.Replace(' ', '-'));
        return ["train", config, "--run", run, "--plain", "--set", $"data={data}", FormattableString.Invariant($"threads={threads}"), "log_every=1", .. measured.Changes];
    }

    private static JsonElement[] Steps(string run) =>
    [
        .. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line)).Where(line => line.TryGetProperty("tokens_per_second", out _)),
    ];

    /// <summary>What the runner itself says before it starts.</summary>
    private static double Predict(IReadOnlyList<string> arguments)
    {
        const string total = "at most, all together";
        using Process process = Start([.. arguments, "--plan"]);
        string table = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string line = table.Split('\n').FirstOrDefault(line => line.Contains(total, StringComparison.Ordinal))
            ?? throw new BenchmarkException($"The runner printed no plan: {table}{process.StandardError.ReadToEnd()}");
        return 1e6 * double.Parse(line.Replace(total, "").Replace("MB", ""), NumberStyles.Number, CultureInfo.InvariantCulture);
    }

    /// <summary>Runs the runner to its end. The peak only ever grows, so what was seen last is right but for the last moment, when everything is being given back.</summary>
    public static (double Peak, TimeSpan Busy) Watch(IReadOnlyList<string> arguments, long garbage = 0)
    {
        using Process process = Start(arguments, garbage);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        var (peak, busy) = (0.0, TimeSpan.Zero);
        while (!process.WaitForExit(Glance) && Look(process) is var (seen, used)) (peak, busy) = (Math.Max(peak, seen), used);
        process.WaitForExit();
        return process.ExitCode == 0 ? (peak, busy) : throw new BenchmarkException($"The runner ended with exit code {process.ExitCode}: {errors.Result.Trim()}");
    }

    private static Process Start(IReadOnlyList<string> arguments, long garbage = 0)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Training.dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (garbage > 0) start.Environment["DOTNET_GCgen0size"] = garbage.ToString("x", CultureInfo.InvariantCulture);
        return Process.Start(start)!;
    }

    /// <summary>Null where the process has just ended.</summary>
    private static (long Peak, TimeSpan Busy)? Look(Process process)
    {
        try
        {
            process.Refresh();
            return (process.PeakWorkingSet64, process.TotalProcessorTime);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static double StepTime(JsonElement[] steps)
    {
        double tokens = steps[0].GetProperty("tokens").GetDouble();
        return Summary.Of(steps.Skip(MemorySuite.WarmUp).Select(step => tokens / step.GetProperty("tokens_per_second").GetDouble() * 1e3)).Median;
    }
}
