using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Artifacts;

namespace OnnxLlm.Tools.Quantization;

/// <summary>What a quantized package says of itself, to people and to programs: the measured numbers, and how they were measured.</summary>
internal static class ModelCard
{
    public const string TextFile = "MODEL_CARD.md", JsonFile = "model_card.json";

    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static JsonObject Json(string title, PackageManifest manifest) => new()
    {
        ["name"] = title,
        ["model_type"] = manifest.ModelType,
        ["parameters"] = manifest.ParameterCount,
        ["precision"] = manifest.Precision,
        ["source"] = JsonSerializer.SerializeToNode(manifest.Source, Options),
        ["quantization"] = manifest.Quantization?.DeepClone(),
    };

    public static string Text(string title, PackageManifest manifest, QuantizationReport report)
    {
        var q = report.Quality;
        return string.Create(CultureInfo.InvariantCulture, $"""
            # {title}

            A {manifest.ModelType} language model of {manifest.ParameterCount:N0} parameters in INT8, quantized by OnnxLlm{Origin(manifest.Source)}.

            | | float32 | INT8 |
            |---|---|---|
            | `model.onnx` | {Megabytes(report.FloatBytes)} | {Megabytes(report.QuantizedBytes)} ({report.SizeRatio:P1}) |
            | perplexity | {q.FloatPerplexity:0.000} ± {q.FloatPerplexityError:0.000} | {q.QuantizedPerplexity:0.000} ± {q.QuantizedPerplexityError:0.000} |
            | bits per byte | {q.FloatBitsPerByte:0.0000} | {q.QuantizedBitsPerByte:0.0000} |
            {string.Concat(report.Speed.Select(Speeds))}
            - Perplexity changes by {q.PerplexityLoss:+0.000 %;-0.000 %} ± {q.PerplexityLossError:0.000 %}; a growth of {q.MaxPerplexityLoss:0.## %} was allowed. A unigram model has {q.UnigramPerplexity:0.0}.
            - Mean KL divergence {q.MeanDivergence:0.000000} nats; the same likeliest token for {q.Top1Agreement:P2} of the tokens.
            - Measured on {q.Tokens:N0} {(q.IsOwnText ? "tokens that the float model wrote itself" : "held-out tokens")} in windows of {q.Context}, {q.Stride} apart, the same for both models. ± is one standard error, taking tokens as independent.
            - Speeds are medians of alternated rounds with one sequence, on the machine that quantized; others will differ.

            Weights: {report.Bits} bits, symmetric, one scale for {report.Block} weights, in the layout of `MatMulNBits` (accuracy level {report.AccuracyLevel} where no kernel of ours runs). {report.QuantizedWeights.Length} weights were quantized, {Kept(report)}.
            {Cache(report.KvCache)}
            """).ReplaceLineEndings("\n");
    }

    private static string Origin(PackageSource? source) => source is null ? "" : string.Create(CultureInfo.InvariantCulture, $" from the run `{source.Run}`, step {source.Step}");

    private static string Speeds(SpeedReport s) => string.Create(CultureInfo.InvariantCulture, $"""
        | prefill, tokens/s, {s.Provider}, {s.Threads} threads | {s.FloatPrefill:N0} | {s.QuantizedPrefill:N0} |
        | decode, tokens/s, {s.Provider}, {s.Threads} threads{(s.Sequences > 1 ? $", {s.Sequences} sequences" : "")} | {s.FloatDecode:N0} | {s.QuantizedDecode:N0} |

        """);

    private static string Cache(CacheReport? cache) => cache is null ? "" : string.Create(CultureInfo.InvariantCulture, $"""

        Keys and values: {cache.Bits} bits, {Form(cache)}. A token takes {cache.BytesPerToken:N0} bytes instead of {cache.FloatBytesPerToken:N0}. The perplexity above is with this cache; the cache alone changes it from {cache.FloatPerplexity:0.000} by {cache.PerplexityLoss:+0.000 %;-0.000 %} ± {cache.PerplexityLossError:0.000 %}.

        """);

    private static string Form(CacheReport cache) => cache.Margin is null ? "the upper half of a float (bfloat16)" : string.Create(CultureInfo.InvariantCulture,
        $"symmetric, a scale for each channel of a key/value head: {cache.Margin} times the largest magnitude on {cache.CalibrationTokens:N0} tokens that are not among the scored ones");

    private static string Kept(QuantizationReport report) =>
        report.KeptWeights.IsEmpty ? "none was left out" : $"{report.KeptWeights.Length} stayed as they were ({string.Join("; ", report.KeptWeights)})";

    private static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.00} MB");
}
