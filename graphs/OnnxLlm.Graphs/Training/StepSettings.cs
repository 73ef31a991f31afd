using OnnxLlm.Graphs.Autodiff;

namespace OnnxLlm.Graphs.Training;

/// <summary>How the step graph computes what it computes.</summary>
public sealed record StepSettings
{
    public ActivationCheckpointing Checkpointing { get; init; }
}
