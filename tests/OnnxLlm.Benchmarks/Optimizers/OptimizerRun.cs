using System.Globalization;
using System.Text.Json;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Memory;

namespace OnnxLlm.Benchmarks.Optimizers;

/// <summary>What a run reached: its last validation loss with the standard error, and after how many steps and seconds.</summary>
internal sealed record OptimizerOutcome(OptimizersSize Size, string Optimizer, double Loss, double Error, long Steps, double Seconds, double StepMilliseconds, double OthersShare);

/// <summary>One run of the training runner, as a process of its own.</summary>
internal sealed record OptimizerRun(OptimizersSize Size, string Optimizer, string Data, string Folder, OptimizersOptions Options)
{
    public OptimizerOutcome Measure(TimeProvider time)
    {
        string run = Path.Combine(Folder, $"{Size.Layers}-{Size.Width}-{Optimizer}");
        var machine = new ProcessorTime(time);
        TimeSpan busy = Train(run);
        double others = machine.OthersShare(busy);
        JsonElement[] lines = [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        JsonElement validation = lines.Last(l => l.TryGetProperty("validation_loss", out _));
        JsonElement[] steps = [.. lines.Where(l => l.TryGetProperty("tokens_per_second", out _))];
        return new(
            Size, Optimizer, validation.GetProperty("validation_loss").GetDouble(), validation.GetProperty("standard_error").GetDouble(), steps[^1].GetProperty("step").GetInt64(),
            steps[^1].GetProperty("elapsed_seconds").GetDouble(), Summary.Of(steps.Select(StepTime)).Median, others);
    }

    private static double StepTime(JsonElement step) =>
        1e3 * step.GetProperty("tokens").GetDouble() / step.GetProperty("step").GetDouble() / step.GetProperty("tokens_per_second").GetDouble();

    private TimeSpan Train(string run)
    {
        string config = Path.Combine(BenchmarkDocument.Root, "training", "configs", "quickstart.json");
        string minutes = (Options.Seconds / 60.0).ToString(CultureInfo.InvariantCulture), threads = Options.Threads.ToString(CultureInfo.InvariantCulture);
        return RunnerProcess.Watch(
            ["train", config, "--run", run, "--minutes", minutes, "--plain", "--set", $"data={Data}", $"threads={threads}", $"optimizer.type={Optimizer}", .. Size.Changes]).Busy;
    }
}
