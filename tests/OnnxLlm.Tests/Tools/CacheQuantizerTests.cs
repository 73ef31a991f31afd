using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

/// <summary>From <c>--kv-cache</c> to a package whose cache holds bytes, or floats of 16 or 32 bits.</summary>
public sealed class CacheQuantizerTests : IDisposable
{
    private readonly Workshop _shop = new();

    public void Dispose() => _shop.Dispose();

    [Fact]
    public void Quantize_WithAnInt8Cache_WritesAndMeasuresIt()
    {
        _shop.Export();
        string[] command = ["quantize", "--model", "@models/tiny", "--out", "@models/int8", "--tokens", "400", "--max-perplexity-loss", "0.03"];
        Assert.Equal(0, _shop.Run(command).Code);
        var (code, output, error) = _shop.Run([.. command, "--kv-cache", "int8"]);
        Assert.Equal((0, ""), (code, error));
        Assert.DoesNotContain("up to date", output, StringComparison.Ordinal);
        Assert.Contains("512 ->       128 bytes a token", output, StringComparison.Ordinal);      // 2 layers of keys and values in 2 heads of 16
        Assert.StartsWith("up to date: ", _shop.Run([.. command, "--kv-cache", "int8"]).Output, StringComparison.Ordinal);

        var manifest = PackageManifest.Verify(_shop.At("models/int8"));
        var report = QuantizationReport.Parse(manifest.Quantization)!;
        Assert.NotEqual(0, report.KvCache!.PerplexityLoss);
        Assert.InRange(report.KvCache.PerplexityLoss, -0.03, 0.03);
        Assert.Equal(report.Quality.QuantizedPerplexity, report.KvCache.FloatPerplexity * (1 + report.KvCache.PerplexityLoss), 9);
        Assert.Contains("A token takes 128 bytes instead of 512.", File.ReadAllText(_shop.At("models/int8/MODEL_CARD.md")), StringComparison.Ordinal);
        Assert.Equal(0, _shop.Run("evaluate", "--model", "@models/int8", "--data", "@data/shards").Code);
        Assert.Contains("Int8RotaryCachedAttention", _shop.Run("inspect", "model", "@models/int8").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Quantize_AsItComes_HasACacheOf16Bits()
    {
        _shop.Export();
        string[] command = ["quantize", "--model", "@models/tiny", "--out", "@models/int8", "--tokens", "400", "--max-perplexity-loss", "0.03"];
        var (code, output, error) = _shop.Run(command);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("512 ->       256 bytes a token", output, StringComparison.Ordinal);
        var report = QuantizationReport.Parse(PackageManifest.Verify(_shop.At("models/int8")).Quantization)!.KvCache!;
        Assert.Equal((16, null, null), (report.Bits, report.Margin, report.CalibrationTokens));
        Assert.NotEqual(0, report.PerplexityLoss);
        Assert.Contains("Keys and values: 16 bits, the upper half of a float (bfloat16). A token takes 256 bytes instead of 512.", File.ReadAllText(_shop.At("models/int8/MODEL_CARD.md")), StringComparison.Ordinal);
        Assert.Contains("BFloat16RotaryCachedAttention", _shop.Run("inspect", "model", "@models/int8").Output, StringComparison.Ordinal);

        Assert.StartsWith("up to date: ", _shop.Run([.. command, "--kv-cache", "bfloat16"]).Output, StringComparison.Ordinal);
        Assert.DoesNotContain("bytes a token", _shop.Run([.. command, "--kv-cache", "float32"]).Output, StringComparison.Ordinal);
        Assert.Null(QuantizationReport.Parse(PackageManifest.Verify(_shop.At("models/int8")).Quantization)!.KvCache);
    }

    [Fact]
    public void Scales_OfACalibrationText_ReachItsLargestMagnitudesAndTheMargin()
    {
        var model = GenerationRun.Export(_shop.Model);
        var config = _shop.Model.Config;
        int[] text = [.. Enumerable.Range(0, config.MaxPositions).Select(i => 7 * i % config.VocabularySize)];
        var scales = CacheCalibration.Scales(model, config, text, threads: 1);

        using var reader = SequenceModel.ForAnswering(model, config.MaxPositions, threads: 1);
        reader.Append(text, past: 0);
        int size = config.HeadSize;
        float Magnitude(string past, int channel) => Enumerable.Range(0, text.Length).Max(token => Math.Abs(reader.Cache(past).Span<float>()[token * size + channel]));
        for (int channel = 0; channel < size; channel++)
            Assert.Equal(1.25f * Magnitude(GenerationGraph.PastValue(1), channel) / 127, scales[GenerationGraph.PastValue(1)][channel], 1e-7f);
        for (int channel = 0; channel < size / 2; channel++)      // a pair of channels turns: each may become as large as both together
        {
            string keys = GenerationGraph.PastKey(0);
            float expected = 1.25f * MathF.Sqrt(MathF.Pow(Magnitude(keys, channel), 2) + MathF.Pow(Magnitude(keys, channel + size / 2), 2)) / 127;
            Assert.Equal(expected, scales[keys][channel], 1e-7f);
            Assert.Equal(scales[keys][channel], scales[keys][channel + size / 2]);
        }
    }

    [Fact]
    public void Graph_WithoutTheFunction_IsRefused()
    {
        var model = GenerationRun.Export(_shop.Model);
        foreach (var node in model.Graph.Node.Where(n => n.OpType == "RotaryCachedAttention")) (node.OpType, node.Domain) = ("GroupQueryAttention", "com.microsoft");
        var refusal = Assert.Throws<ToolException>(() => CacheQuantizer.Quantize(model, new Dictionary<string, float[]>()));
        Assert.Contains("export or import it again", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Cache_OfAnotherKind_IsAMistake()
    {
        _shop.Export();
        var (code, _, error) = _shop.Run("quantize", "--model", "@models/tiny", "--out", "@x", "--kv-cache", "int4");
        Assert.NotEqual(0, code);
        Assert.Contains("int4", error, StringComparison.Ordinal);
    }
}
