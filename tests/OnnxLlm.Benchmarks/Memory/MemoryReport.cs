using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Benchmarks.Memory;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class MemoryReport
{
    public static string Section(MemoryResult result, MemoryOptions options, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Memory of training

        {now:yyyy-MM-dd}. {Machine.Current}. The real runner as a process of its own, its largest resident memory as the system counts it (everything: .NET, ONNX Runtime,
        state, activations, validation, checkpoint); threads: {options.Threads}. Quickstart's config, 24 steps with validations and checkpoints: {result.Quickstart.PeakBytes / 1e6:F0} MB
        (`train --plan` predicts {result.Quickstart.PredictedBytes / 1e6:F0}). The same model in three depths with micro-batches of 8 × 256 tokens, {options.Steps} steps, the first {MemorySuite.WarmUp} not timed.
        `selective` computes norms, activations and rotations again in the backward pass, where their gradients do not give the values in any case, `block` everything but the input of each block.
        Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | layers | activation_checkpointing | peak resident MB | of none | predicted MB | off by | step ms | of none | loss after {options.Steps} steps |
        |---|---|---|---|---|---|---|---|---|
        {string.Join("\n", result.Depths.Select(d => Row(d, result.Plain(d.Layers))))}

        One more layer costs {string.Join(", ", Enum.GetValues<ActivationCheckpointing>().Select(kind => PerLayer(result, kind)))}.

        A model of 12 layers of width 384 with micro-batches of 2 × 256 tokens and `block`, its optimizer's state in memory or in a mapped file (`optimizer_offload: disk`). The file's
        pages stay in the system's cache while it has room; what is resident is what the process itself must have.

        | optimizer_offload | peak resident MB | resident between steps MB | predicted peak MB | off by | step ms |
        |---|---|---|---|---|---|
        {Row("none", result.InMemory)}
        {Row("disk", result.OnDisk)}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(DepthUse run, TrainingUse plain) => string.Create(CultureInfo.InvariantCulture,
        $"| {run.Layers} | {Name(run.Kind)} | {run.Use.PeakBytes / 1e6:F0} | {run.Use.PeakBytes / plain.PeakBytes:F2} | {run.Use.PredictedBytes / 1e6:F0} | {run.Use.PredictionError:P1} | {run.Use.StepMilliseconds:F0} | {run.Use.StepMilliseconds / plain.StepMilliseconds:F2} | {run.Use.Loss:F6} |");

    private static string Row(string offload, TrainingUse use) => string.Create(CultureInfo.InvariantCulture,
        $"| {offload} | {use.PeakBytes / 1e6:F0} | {use.ResidentBytes / 1e6:F0} | {use.PredictedBytes / 1e6:F0} | {use.PredictionError:P1} | {use.StepMilliseconds:F0} |");

    private static string PerLayer(MemoryResult result, ActivationCheckpointing kind) =>
        string.Create(CultureInfo.InvariantCulture, $"{result.PerLayer(kind) / 1e6:F0} MB with `{Name(kind)}`");

    private static string Name(ActivationCheckpointing kind) => kind.ToString().ToLowerInvariant();
}
