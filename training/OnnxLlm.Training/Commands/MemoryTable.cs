using System.Globalization;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Memory;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Engine;
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

    public static MemoryPlan PlanOf(RunConfig config) => config is { Engine: EngineKind.Onnx, Kernels: true, Place.IsCuda: false, Model.IsDecoder: true }
        ? MemoryPlan.Of(RunOf(config))
        : throw new TrainingException("The plan of memory is for decoders on engine onnx with kernels on the CPU; of other runs it would be wrong.");

    /// <summary>Every session that the run will have: those of the stages' shapes, the samples' and the statistics' included.</summary>
    private static PlannedRun RunOf(RunConfig config)
    {
        var auxiliary = AuxiliaryGraphs.Of(config);
        return new(TrainingRun.GraphsOf(config), config.Threads > 0 ? config.Threads : Environment.ProcessorCount)
        {
            OtherSteps = [.. config.Stages.Select(s => s.SequenceLength).Distinct().Where(time => time != config.Time).Select(time => config.GraphsFor(config.Shape(time)).Step)],
            Auxiliary = [.. new[] { auxiliary.Activations, auxiliary.Sampling }.OfType<Graph>()],
            Offloaded = Offload.PartsOf(config),
        };
    }

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
