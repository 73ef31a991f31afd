using System.Collections.Immutable;
using System.IO.Enumeration;
using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Quantization;

/// <summary>How weights are quantized.</summary>
internal sealed record QuantizationSettings
{
    /// <summary>Weights that share one scale. 32 loses least; 128 is faster and smaller.</summary>
    public int Block { get; init; } = 32;

    /// <summary>A matrix with a smaller side stays as it is: it saves nothing and costs accuracy.</summary>
    public int SmallestSide { get; init; } = 16;

    /// <summary>Names of weights that stay as they are; <c>*</c> stands for any characters.</summary>
    public ImmutableArray<string> Exclude { get; init; } = [];

    /// <summary>How keys and values are kept: in 32 or 16 bits (Float, BFloat16) or as bytes (Int8), see <see cref="CacheQuantizer"/>.</summary>
    public ElementType Cache { get; init; } = ElementType.BFloat16;

    public bool Excludes(string weight) => Exclude.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, weight, ignoreCase: false));

    /// <summary>What our kernel and MatMulNBits both take; a larger block than 256 has no fast path in the runtime.</summary>
    public void Check()
    {
        if (Block is not (32 or 64 or 128 or 256)) throw new ToolException($"The block size must be 32, 64, 128 or 256, not {Block}.");
    }
}
