using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Text;
using OnnxLlm.Tools.Evaluation;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// Quantizes a package, measures what that costs on held-out text, and writes the new package only if the cost is within the bound.
/// </summary>
internal sealed class QuantizationGate(QuantizationJob job, TimeProvider time)
{
    private const string Provider = "CPUExecutionProvider";

    /// <summary>How the model is quantized; a test puts something worse in its place.</summary>
    internal Func<ModelProto, QuantizedModel> Quantizer { get; init; } = model => WeightQuantizer.Quantize(model, job.Settings);

    /// <summary>The report of an earlier call that did the same from the same model and data, or null.</summary>
    public QuantizationReport? UpToDate()
    {
        if (QuantizationReport.Parse(PackageFolder.Intact(job.Target)?.Quantization) is not { } report) return null;
        var (data, tokens) = Given();
        return report.SourceModel == PackageManifest.Read(job.Source).ModelHash
            && report.Block == job.Settings.Block
            && report.Exclude.SequenceEqual(job.Settings.Exclude)
            && (report.KvCache?.Bits ?? CacheReport.FloatBits) == CacheReport.BitsOf(job.Settings.Cache)
            && report.Quality.Data == data
            && report.Quality.Tokens == tokens
            && report.Quality.PerplexityLoss <= job.MaxPerplexityLoss
            ? report
            : null;
    }

    /// <summary>What the text is known by, and how many of its tokens are scored.</summary>
    private (string Hash, long Tokens) Given()
    {
        if (job.Data is null) return (OwnText.Name(job.Source), job.Tokens);
        using var shards = TokenShards.Open(job.Data, Split.Valid);
        return (shards.Hash, Math.Min(job.Tokens, shards.Length - 1));
    }

    /// <summary>A <see cref="ToolException"/> says why nothing was written.</summary>
    public QuantizationReport Run()
    {
        RequireTwoFolders();
        var manifest = PackageFolder.RequireDecoder(job.Source, "quantize");
        var before = OnnxFile.Read(Path.Combine(job.Source, PackageManifest.ModelFile));
        var after = Quantizer(before);
        var data = Data();
        var config = ModelConfig.Load(Path.Combine(job.Source, PackageManifest.ConfigFile));
        CacheReport? cache = null;
        if (job.Settings.Cache != ElementType.Float) (after, cache) = QuantizeCache(after, config, data);
        var report = Measure(manifest, before, after, data, config.MaxPositions) with { KvCache = cache };
        if (report.Quality.PerplexityLoss > job.MaxPerplexityLoss) throw new ToolException(Refusal(report.Quality));
        QuantizedPackage.Write(job, manifest, after.Model, report);
        return report;
    }

    private EvaluationData Data()
    {
        var tokenizer = Tokenizer.Load(job.Source);
        return job.Data is { } shards ? EvaluationData.Load(shards, tokenizer, job.Tokens) : OwnText.Write(job.Source, tokenizer, job.Tokens, job.Threads);
    }

    private (QuantizedModel Model, CacheReport Report) QuantizeCache(QuantizedModel weights, ModelConfig config, EvaluationData data)
    {
        bool bytes = job.Settings.Cache == ElementType.Int8;
        var model = bytes ? CacheQuantizer.Quantize(weights.Model, CacheCalibration.Scales(weights.Model, config, data.Calibration, job.Threads)) : CacheQuantizer.ToBFloat16(weights.Model);
        var evaluator = new Evaluator(data.Text, config.MaxPositions, stride: config.MaxPositions);
        using SequenceModel wide = SequenceModel.ForMeasuring(weights.Model, config.MaxPositions, job.Threads), narrow = SequenceModel.ForMeasuring(model, config.MaxPositions, job.Threads);
        return (weights with { Model = model }, CacheReport.Of(evaluator.Compare(wide.Logits, narrow.Logits), config, job.Settings.Cache, bytes ? data.Calibration.Length : null));
    }

    private QuantizationReport Measure(PackageManifest manifest, ModelProto before, QuantizedModel after, EvaluationData data, int length) => new()
    {
        Block = job.Settings.Block,
        Exclude = job.Settings.Exclude,
        SourceModel = manifest.ModelHash!,
        QuantizedWeights = [.. after.Quantized.Select(q => q.Name)],
        KeptWeights = [.. after.Kept.Select(k => $"{k.Name}: {k.Reason}")],
        FloatBytes = before.CalculateSize(),
        QuantizedBytes = after.Model.CalculateSize(),
        Quality = Quality(before, after.Model, data, length),
        Speed = [Speed(before, after.Model, data.Text.Tokens, length)],
    };

    private QualityReport Quality(ModelProto before, ModelProto after, EvaluationData data, int context)
    {
        var evaluator = new Evaluator(data.Text, context, stride: context);
        using SequenceModel first = SequenceModel.ForMeasuring(before, context, job.Threads), second = SequenceModel.ForMeasuring(after, context, job.Threads);
        return QualityReport.Of(evaluator.Compare(first.Logits, second.Logits), evaluator.Score(data.Unigram), job, data.Hash, context);
    }

    private SpeedReport Speed(ModelProto before, ModelProto after, int[] text, int length)
    {
        using SequenceModel first = SequenceModel.ForAnswering(before, length, job.Threads), second = SequenceModel.ForAnswering(after, length, job.Threads);
        var (slow, fast) = new SpeedComparison(time).Measure(first, second, text, length);
        return new()
        {
            Provider = Provider,
            Threads = job.Threads > 0 ? job.Threads : Environment.ProcessorCount,
            FloatPrefill = slow.Prefill,
            QuantizedPrefill = fast.Prefill,
            FloatDecode = slow.Decode,
            QuantizedDecode = fast.Decode,
        };
    }

    private string Refusal(QualityReport q) => FormattableString.Invariant(
        $"'{job.Target}' was not written: the perplexity grows by {q.PerplexityLoss:P2} ({q.FloatPerplexity:0.00} -> {q.QuantizedPerplexity:0.00}), at most {q.MaxPerplexityLoss:P2} is allowed. Exclude weights with --exclude, or allow more with --max-perplexity-loss.");

    private void RequireTwoFolders()
    {
        if (Path.GetFullPath(job.Source).TrimEnd('/', '\\') == Path.GetFullPath(job.Target).TrimEnd('/', '\\'))
            throw new ToolException("--model and --out are the same folder; the float model is kept, so choose another for --out.");
    }
}
