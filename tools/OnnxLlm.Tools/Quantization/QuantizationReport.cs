using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Tools.Quantization;

/// <summary>How a model was quantized and what that was measured to cost: the section <c>quantization</c> of <c>manifest.json</c>.</summary>
internal sealed record QuantizationReport
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public int Bits { get; init; } = 8;

    /// <summary>Weights that share one scale.</summary>
    public required int Block { get; init; }

    public bool Symmetric { get; init; } = true;

    public long AccuracyLevel { get; init; } = QuantizedProduct.AccuracyLevel;

    /// <summary>Patterns of names that were left out on request.</summary>
    public required ImmutableArray<string> Exclude { get; init; }

    /// <summary>SHA-256 of the float <c>model.onnx</c>.</summary>
    public required string SourceModel { get; init; }

    public required ImmutableArray<string> QuantizedWeights { get; init; }

    /// <summary>Weights that stayed as they were, each with the reason.</summary>
    public required ImmutableArray<string> KeptWeights { get; init; }

    /// <summary>Sizes of <c>model.onnx</c> before and after.</summary>
    public required long FloatBytes { get; init; }

    public required long QuantizedBytes { get; init; }

    public double SizeRatio => (double)QuantizedBytes / FloatBytes;

    public required QualityReport Quality { get; init; }

    /// <summary>What an 8-bit cache of keys and values was measured to add; null where the cache holds floats.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CacheReport? KvCache { get; init; }

    /// <summary>An entry for each execution provider, or GPU, and number of sequences that was measured.</summary>
    public required ImmutableArray<SpeedReport> Speed { get; init; }

    public JsonObject ToJson() => JsonSerializer.SerializeToNode(this, Options)!.AsObject();

    /// <summary>Null where the section was not written by this version.</summary>
    public static QuantizationReport? Parse(JsonObject? json)
    {
        try
        {
            return json?.Deserialize<QuantizationReport>(Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>Both models on the same tokens.</summary>
internal sealed record QualityReport
{
    /// <summary>Hash of the token shards, or <see cref="OwnText.Name"/>.</summary>
    public required string Data { get; init; }

    /// <summary>The text was written by the float model.</summary>
    public bool IsOwnText { get; init; }

    public required long Tokens { get; init; }

    public required int Context { get; init; }

    public required int Stride { get; init; }

    public required double UnigramPerplexity { get; init; }

    public required double FloatPerplexity { get; init; }

    public required double FloatPerplexityError { get; init; }

    public required double QuantizedPerplexity { get; init; }

    public required double QuantizedPerplexityError { get; init; }

    public required double FloatBitsPerByte { get; init; }

    public required double QuantizedBitsPerByte { get; init; }

    /// <summary>Relative growth of the perplexity: 0.01 is 1 % worse.</summary>
    public required double PerplexityLoss { get; init; }

    public required double PerplexityLossError { get; init; }

    public required double MaxPerplexityLoss { get; init; }

    /// <summary>Mean KL(float‖quantized), in nats.</summary>
    public required double MeanDivergence { get; init; }

    public required double Top1Agreement { get; init; }

    public static QualityReport Of(ScoreComparison c, PerplexityScore unigram, QuantizationJob job, string data, int context) => new()
    {
        Data = data,
        IsOwnText = job.Data is null,
        Tokens = c.First.Tokens,
        Context = context,
        Stride = context,
        UnigramPerplexity = unigram.Perplexity,
        FloatPerplexity = c.First.Perplexity,
        FloatPerplexityError = c.First.PerplexityError,
        QuantizedPerplexity = c.Second.Perplexity,
        QuantizedPerplexityError = c.Second.PerplexityError,
        FloatBitsPerByte = c.First.BitsPerByte,
        QuantizedBitsPerByte = c.Second.BitsPerByte,
        PerplexityLoss = c.PerplexityLoss,
        PerplexityLossError = c.DifferenceError * (1 + c.PerplexityLoss),
        MaxPerplexityLoss = job.MaxPerplexityLoss,
        MeanDivergence = c.Divergence,
        Top1Agreement = c.Agreement,
    };
}

/// <summary>Tokens per second of one sequence, on one execution provider.</summary>
internal sealed record SpeedReport
{
    public required string Provider { get; init; }

    /// <summary>The GPU; null on a CPU.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Card { get; init; }

    /// <summary>Decoded at a time.</summary>
    public int Sequences { get; init; } = 1;

    public required int Threads { get; init; }

    public required double FloatPrefill { get; init; }

    public required double QuantizedPrefill { get; init; }

    public required double FloatDecode { get; init; }

    public required double QuantizedDecode { get; init; }
}
