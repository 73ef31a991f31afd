using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>How keys and values are rounded, and what that was measured to add to the cost of rounding the weights.</summary>
internal sealed record CacheReport
{
    public int Bits { get; init; } = 8;

    /// <summary>See <see cref="CacheCalibration.Margin"/>.</summary>
    public required float Margin { get; init; }

    /// <summary>Tokens from which the scales were found; none of them is scored.</summary>
    public required int CalibrationTokens { get; init; }

    /// <summary>Bytes of keys and values of one token, as floats.</summary>
    public required long FloatBytesPerToken { get; init; }

    public required long BytesPerToken { get; init; }

    /// <summary>Of the quantized weights with a cache of floats.</summary>
    public required double FloatPerplexity { get; init; }

    /// <summary>Relative growth through the cache alone.</summary>
    public required double PerplexityLoss { get; init; }

    public required double PerplexityLossError { get; init; }

    /// <summary>Mean KL(float cache‖8-bit cache), in nats.</summary>
    public required double MeanDivergence { get; init; }

    public static CacheReport Of(ScoreComparison c, ModelConfig config, int calibrationTokens)
    {
        long elements = 2L * config.Layers * config.KeyValueHeads * config.HeadSize;
        return new()
        {
            Margin = CacheCalibration.Margin,
            CalibrationTokens = calibrationTokens,
            FloatBytesPerToken = elements * ElementType.Float.Size(),
            BytesPerToken = elements * ElementType.Int8.Size(),
            FloatPerplexity = c.First.Perplexity,
            PerplexityLoss = c.PerplexityLoss,
            PerplexityLossError = c.DifferenceError * (1 + c.PerplexityLoss),
            MeanDivergence = c.Divergence,
        };
    }
}
