using System.Globalization;
using OnnxLlm.Runtime.Memory;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Runs;

namespace OnnxLlm.Training.Commands;

/// <summary><c>train CONFIG --plan</c>: what the run would need, without starting it.</summary>
internal static class MemoryTable
{
    public static int Print(RunConfig config, TextWriter output)
    {
        foreach (var line in Lines(PlanOf(config), config)) output.WriteLine(line);
        return ExitCodes.Finished;
    }

    public static MemoryPlan PlanOf(RunConfig config) => config is { Engine: EngineKind.Onnx, Kernels: true }
        ? MemoryPlan.Of(TrainingRun.GraphsOf(config))
        : throw new TrainingException("The plan of memory is for engine onnx with kernels; of other runs it would be wrong.");

    public static IEnumerable<string> Lines(MemoryPlan plan, RunConfig config)
    {
        var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        yield return FormattableString.Invariant($"Predicted memory, micro-batches of {config.MicroBatch} × {config.Time} tokens:");
        foreach (var item in plan.Items) yield return Line(item.Name, item.Bytes);
        yield return Line("at most, all together", plan.Total);
        yield return Line("available to this process", available);
        if (plan.Total > available)
            yield return "This does not fit: lower micro_batch or set activation_checkpointing to block.";
    }

    private static string Line(string name, long bytes) => string.Create(CultureInfo.InvariantCulture, $"  {name,-30}{bytes / 1e6,12:N0} MB");
}
