using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Runtime.Memory;

/// <summary>One use of memory, in bytes.</summary>
public sealed record MemoryItem(string Name, long Bytes);

/// <summary>What a training process runs, as far as its memory is concerned.</summary>
/// <param name="Graphs">Those of whole micro-batches.</param>
/// <param name="Threads">Threads of the runtime.</param>
public sealed record PlannedRun(TrainingGraphs Graphs, int Threads)
{
    /// <summary>The step graphs of other shapes, one at a time in the place of the first.</summary>
    public ImmutableArray<Graph> OtherSteps { get; init; } = [];

    /// <summary>Graphs that look at the model now and then: statistics of activations, samples of text.</summary>
    public ImmutableArray<Graph> Auxiliary { get; init; } = [];

    /// <summary>Where the optimizer's state is kept out of memory: the graphs that bring it in a part at a time.</summary>
    public OptimizerParts? Offloaded { get; init; }

    internal IEnumerable<Graph> Optimizer => Offloaded?.Graphs ?? [Graphs.Optimizer];

    internal IEnumerable<Graph> Sessions => [Graphs.Step, Graphs.Evaluation, .. Optimizer, .. Auxiliary];
}

/// <summary>
/// What a training process will need at most, predicted from its graphs before anything runs: the tensors that live all the time, what each session's
/// arena grows to, what the kernels rent beside it, and what the program itself takes. For sessions with our kernels on the CPU.
/// </summary>
public sealed record MemoryPlan(ImmutableArray<MemoryItem> Items)
{
    /// <summary>.NET, the native library, token shards and buffers of files, as measured with a model of no size; what a node of a graph adds; and the session of a part of the optimizer.</summary>
    private const long Program = 112_000_000, PerNode = 15_000, PerPart = 750_000;

    public long Total => Items.Sum(item => item.Bytes);

    public static MemoryPlan Of(TrainingGraphs graphs) => Of(new PlannedRun(graphs, Environment.ProcessorCount));

    public static MemoryPlan Of(PlannedRun run)
    {
        var graphs = run.Graphs;
        var steps = run.OtherSteps.Add(graphs.Step);
        MemoryItem[] auxiliary = run.Auxiliary.IsEmpty ? [] : [new("statistics and samples", run.Auxiliary.Sum(Activations.Peak))];
        long state = run.Optimizer.Max(StateOf), temporaries = run.Optimizer.Sum(Activations.Peak), step = steps.Max(Activations.Peak), validation = Activations.Peak(graphs.Evaluation);

        // Sessions keep what they needed once, but where state is brought in by parts, those of validations and updates give it back.
        MemoryItem[] turns = run.Offloaded is null
            ? [new("optimizer state", state), new("activations of a step", step), new("activations of a validation", validation), .. auxiliary, new("temporaries of an update", temporaries)]
            : [new("activations of a step", step), new("a validation or optimizer state", Math.Max(validation, state + temporaries)), .. auxiliary];
        return new(
        [
            new("weights", graphs.Parameters.Sum(p => p.Count) * sizeof(float)),
            new("gradients", graphs.Trainable.Sum(p => p.Count) * sizeof(float)),
            .. turns,
            new("scratch of kernels", KernelScratch.Peak(run.Sessions.Concat(run.OtherSteps), run.Threads)),
            new("program and runtime", Program + PerNode * run.Sessions.Sum(g => g.Nodes.Length) + PerPart * (run.Offloaded?.Updates.Length ?? 0)),
        ]);
    }

    /// <summary>What an optimizer graph updates in place besides the parameters.</summary>
    private static long StateOf(Graph optimizer)
    {
        var updated = OptimizerParts.InPlaceOf(optimizer).Select(pair => pair.Input).ToHashSet();
        return optimizer.Inputs.Where(v => !v.IsParameter && updated.Contains(v.Name!)).Sum(v => v.Shape.ElementCount * v.Type.Size());
    }
}
