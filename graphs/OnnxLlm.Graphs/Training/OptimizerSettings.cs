namespace OnnxLlm.Graphs.Training;

public enum OptimizerKind
{
    AdamW,
    Sgd,
}

/// <summary>Constants of the optimizer graph.</summary>
public sealed record OptimizerSettings
{
    public OptimizerKind Kind { get; init; } = OptimizerKind.AdamW;

    public float Beta1 { get; init; } = 0.9f;

    public float Beta2 { get; init; } = 0.95f;

    public float Epsilon { get; init; } = 1e-8f;

    /// <summary>Applied to matrices only.</summary>
    public float WeightDecay { get; init; } = 0.1f;

    /// <summary>Gradients are scaled down to this global norm when theirs is larger; 0 never scales.</summary>
    public float ClipNorm { get; init; } = 1;
}
