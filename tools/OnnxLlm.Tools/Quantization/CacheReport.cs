using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>How keys and values are rounded, and what that was measured to add to the cost of rounding the weights.</summary>
internal sealed record CacheReport
{
    /// <summary>Of a number in a cache of floats, of which there is no report.</summary>
    public const int FloatBits = 32;

    public required int Bits { get; init; }

    /// <summary>See <see cref="CacheCalibration.Margin"/>; null where there are no scales.</summary>
    public float? Margin { get; init; }

    /// <summary>Tokens from which the scales were found; none of them is scored. Null where there are no scales.</summary>
    public int? CalibrationTokens { get; init; }

    /// <summary>Bytes of keys and values of one token, as floats.</summary>
    public required long FloatBytesPerToken { get; init; }

    public required long BytesPerToken { get; init; }

    /// <summary>Of the quantized weights with a cache of floats.</summary>
    public required double FloatPerplexity { get; init; }

    /// <summary>Relative growth through the cache alone.</summary>
    public required double PerplexityLoss { get; init; }

    public required double PerplexityLossError { get; init; }

    /// <summary>Mean KL(float cache‖this cache), in nats.</summary>
    public required double MeanDivergence { get; init; }

    public static int BitsOf(ElementType type) => 8 * type.Size();

    /// <param name="c">The first scores with a cache of floats.</param>
    /// <param name="config">The model's.</param>
    /// <param name="type">What the cache holds.</param>
    /// <param name="calibrationTokens">From which its scales were found, if it has any.</param>
    public static CacheReport Of(ScoreComparison c, ModelConfig config, ElementType type, int? calibrationTokens)
    {
        long elements = 2L * config.Layers * config.KeyValueHeads * config.HeadSize;
        return new()
        {
            Bits = BitsOf(type),
            Margin = calibrationTokens is null ? null : CacheCalibration.Margin,
            CalibrationTokens = calibrationTokens,
            FloatBytesPerToken = elements * ElementType.Float.Size(),
            BytesPerToken = elements * type.Size(),
            FloatPerplexity = c.First.Perplexity,
            PerplexityLoss = c.PerplexityLoss,
            PerplexityLossError = c.DifferenceError * (1 + c.PerplexityLoss),
            MeanDivergence = c.Divergence,
        };
    }
}
