namespace OnnxLlm.Training.Configuration;

/// <summary>Dynamic loss scaling of <c>precision: fp16</c>.</summary>
public sealed record LossScaleConfig
{
    /// <summary>The scale to begin with, a power of two.</summary>
    public float Initial { get; init; } = 65536;

    /// <summary>Updates without an overflow after which the scale doubles.</summary>
    public int GrowthInterval { get; init; } = 2000;
}
