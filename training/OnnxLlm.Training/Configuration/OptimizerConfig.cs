using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Training.Configuration;

/// <summary>How gradients become updates.</summary>
public sealed record OptimizerConfig
{
    public OptimizerKind Type { get; init; } = OptimizerKind.AdamW;

    /// <summary>The highest learning rate of the schedule.</summary>
    public double LearningRate { get; init; } = 1e-3;

    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the squared gradients, in AdamW, Adam and RMSProp.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Decay of the gradients, in Momentum and Muon.</summary>
    public double Momentum { get; init; } = 0.95;

    public double Epsilon { get; init; } = 1e-8;

    public double WeightDecay { get; init; } = 0.1;

    /// <summary>What the decay applies to: matrices, or norms and biases too.</summary>
    public DecayedParameters Decay { get; init; } = DecayedParameters.Matrices;

    /// <summary>Largest global norm of the gradients; 0 does not clip.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>The learning rate of each block is this times that of the block above it; 1 gives all the same.</summary>
    public double LayerDecay { get; init; } = 1;

    /// <summary>How AdamW's moments are kept.</summary>
    public Moments Moments { get; init; }

    /// <summary>The constants of the optimizer graph.</summary>
    internal OptimizerSettings Settings => new()
    {
        Kind = Type,
        Beta1 = (float)Beta1,
        Beta2 = (float)Beta2,
        Momentum = (float)Momentum,
        Epsilon = (float)Epsilon,
        WeightDecay = (float)WeightDecay,
        Decay = Decay,
        ClipNorm = (float)ClipNorm,
        LayerDecay = (float)LayerDecay,
        Moments = Moments,
    };
}
