using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Runtime.Memory;

/// <summary>One use of memory, in bytes.</summary>
public sealed record MemoryItem(string Name, long Bytes);

/// <summary>
/// What a training process will need at most, predicted from its graphs before anything runs: the tensors that live all the time, what each session's
/// arena grows to, and what the program itself takes. For sessions with our kernels on the CPU.
/// </summary>
public sealed record MemoryPlan(ImmutableArray<MemoryItem> Items)
{
    /// <summary>.NET, the native library, token shards and buffers of files, as measured with a model of no size; and what a node of a graph adds.</summary>
    private const long Program = 112_000_000, PerNode = 15_000;

    public long Total => Items.Sum(item => item.Bytes);

    public static MemoryPlan Of(TrainingGraphs graphs)
    {
        long parameters = graphs.Parameters.Sum(p => p.Count) * sizeof(float), trainable = graphs.Trainable.Sum(p => p.Count) * sizeof(float);
        return new(
        [
            new("weights", parameters),
            new("gradients", trainable),
            new("optimizer state", StateOf(graphs) - trainable),
            new("activations of a step", Activations.Peak(graphs.Step)),
            new("activations of a validation", Activations.Peak(graphs.Evaluation)),
            new("temporaries of an update", Activations.Peak(graphs.Optimizer)),
            new("program and runtime", Program + PerNode * (graphs.Step.Nodes.Length + graphs.Evaluation.Nodes.Length + graphs.Optimizer.Nodes.Length)),
        ]);
    }

    /// <summary>Everything that the optimizer graph updates in place.</summary>
    private static long StateOf(TrainingGraphs graphs)
    {
        var updated = graphs.OptimizerInPlace.Select(pair => pair.Input).ToHashSet();
        return graphs.Optimizer.Inputs.Where(v => updated.Contains(v.Name!)).Sum(v => v.Shape.ElementCount * v.Type.Size());
    }
}
