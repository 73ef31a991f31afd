using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Cuda;

namespace OnnxLlm.Graphs.Training;

/// <summary>How the step graph computes what it computes.</summary>
public sealed record StepSettings
{
    public ActivationCheckpointing Checkpointing { get; init; }

    public Precision Precision { get; init; }

    /// <summary>Products in float32 on operands rounded to <see cref="Precision"/>, where the runtime has none of 16 bits.</summary>
    public bool Rounded { get; init; }

    /// <summary>What the graphs are written for.</summary>
    public GraphTarget Target { get; init; }

    /// <summary>Gradients carry a factor (the optimizer graph then has the input <c>inverse_loss_scale</c>), so that small ones survive float16.</summary>
    public bool HasLossScale => Precision == Precision.Fp16;

    /// <summary>Every graph of a step, in the form in which the target runs it.</summary>
    internal Graph Apply(Graph graph) => Target == GraphTarget.Cuda
        ? CudaGraph.Of(MixedPrecision.Apply(graph, Precision, Rounded, activations: true))
        : RegainedValues.Fuse(MatrixProducts.Fuse(PackedAttentions.Fuse(LinearLosses.Fuse(MixedPrecision.Apply(graph, Precision, Rounded)))));
}

/// <summary>What a graph is written for.</summary>
public enum GraphTarget
{
    /// <summary>Functions, for which our kernels of the CPU take the place of their definitions.</summary>
    Kernels,

    /// <summary>Operators of the CUDA provider.</summary>
    Cuda,
}
