using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Graphs.Training;

/// <summary>How the step graph computes what it computes.</summary>
public sealed record StepSettings
{
    public ActivationCheckpointing Checkpointing { get; init; }

    public Precision Precision { get; init; }

    /// <summary>Products in float32 on operands rounded to <see cref="Precision"/>, where the runtime has none of 16 bits.</summary>
    public bool Rounded { get; init; }

    /// <summary>Gradients carry a factor (the optimizer graph then has the input <c>inverse_loss_scale</c>), so that small ones survive float16.</summary>
    public bool HasLossScale => Precision == Precision.Fp16;

    internal Graph Apply(Graph graph) => MixedPrecision.Apply(graph, Precision, Rounded);
}
