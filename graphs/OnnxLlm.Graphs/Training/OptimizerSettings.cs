using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs.Training;

public enum OptimizerKind
{
    AdamW,
    Adam,
    Sgd,
    Momentum,
    AdaGrad,
    RmsProp,

    /// <summary>Momentum made orthogonal, for the matrices of the blocks; AdamW for everything else.</summary>
    Muon,
}

/// <summary>What weight decay applies to.</summary>
public enum DecayedParameters
{
    /// <summary>Matrices; gains and biases are left alone.</summary>
    Matrices,

    /// <summary>Every trainable parameter, as in ORT Training's optimizer, which cannot tell them apart.</summary>
    All,
}

/// <summary>How AdamW's moments are kept between updates.</summary>
public enum Moments
{
    Fp32,

    /// <summary>In 8 bits, with a scale for each block of elements, see <see cref="QuantizedAdamW"/>; those of gains and biases in single precision.</summary>
    Int8,
}

/// <summary>Constants of the optimizer graph.</summary>
public sealed record OptimizerSettings
{
    public OptimizerKind Kind { get; init; } = OptimizerKind.AdamW;

    public float Beta1 { get; init; } = 0.9f;

    /// <summary>Decay of the squared gradients, in Adam, AdamW and RMSProp.</summary>
    public float Beta2 { get; init; } = 0.95f;

    /// <summary>Decay of the gradients, in Momentum and Muon.</summary>
    public float Momentum { get; init; } = 0.95f;

    public float Epsilon { get; init; } = 1e-8f;

    public float WeightDecay { get; init; } = 0.1f;

    public DecayedParameters Decay { get; init; } = DecayedParameters.Matrices;

    /// <summary>Gradients are scaled down to this global norm when theirs is larger; 0 never scales.</summary>
    public float ClipNorm { get; init; } = 1;

    /// <summary>The learning rate of each block is this times that of the block above it; the last norm and the head have the full one.</summary>
    public float LayerDecay { get; init; } = 1;

    public Moments Moments { get; init; }

    /// <summary>Whether a parameter's moments are kept in 8 bits: matrices that divide into blocks.</summary>
    internal bool HasInt8Moments(ParameterInfo p) => Moments == Moments.Int8 && p.Decay && p.Count % QuantizedAdamW.Block == 0 && !UpdatesWhole(p);

    /// <summary>Whether the update of an element depends on others of its parameter.</summary>
    internal bool UpdatesWhole(ParameterInfo p) => Kind == OptimizerKind.Muon && p.Layer is not null && p.Shape.Length == 2;
}
