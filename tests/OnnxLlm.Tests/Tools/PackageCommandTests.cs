using System.Text.Json;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

/// <summary>export, evaluate and quantize, from a run folder to an INT8 package.</summary>
public sealed class PackageCommandTests : IDisposable
{
    private readonly Workshop _shop = new();

    private QuantizationJob Job => new() { Source = _shop.At("models/tiny"), Target = _shop.At("models/int8"), Data = _shop.At("data/shards") };

    public void Dispose() => _shop.Dispose();

    [Fact]
    public void Export_BestCheckpoint_HoldsItsWeightsAndTheEndOfText()
    {
        var (code, output, error) = _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny");
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("llama, ", output, StringComparison.Ordinal);
        Assert.Contains("step 10, validation loss 2.5000, perplexity 12.18", output, StringComparison.Ordinal);

        var manifest = PackageManifest.Verify(_shop.At("models/tiny"));
        Assert.Equal(new PackageSource("tiny", 10), manifest.Source);
        Assert.Equal(_shop.Tokenizer.Special.Eos, ModelConfig.Load(_shop.At("models/tiny/config.json")).EosTokenId);
        using var weights = Safetensors.Open(_shop.At("models/tiny/model.safetensors"));
        Assert.Equal(_shop.Model.Weight("model.norm.weight"), weights.Span<float>("model.norm.weight").ToArray());

        int[] tokens = [5, 6, 7, 8];
        using var package = SequenceModel.ForMeasuring(OnnxFile.Read(_shop.At("models/tiny/model.onnx")), 8, threads: 1);
        Closeness.AssertClose(package.Logits(tokens), TrainingLogits.Of(_shop.Model, [5, 6, 7, 8], new(Batch: 1, Time: 4)), 1e-5, "logits of the package");
    }

    [Theory]
    [InlineData("latest", 20)]
    [InlineData("step-10", 10)]
    [InlineData("step-00000020", 20)]
    public void Export_NamedCheckpoint_IsTaken(string which, long step)
    {
        Assert.Equal(0, _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny", "--checkpoint", which).Code);
        Assert.Equal(step, PackageManifest.Read(_shop.At("models/tiny")).Source!.Step);
    }

    [Fact]
    public void Export_Again_IsUpToDateUntilTheCheckpointChanges()
    {
        _shop.Export();
        var time = File.GetLastWriteTimeUtc(_shop.At("models/tiny/model.onnx"));
        Assert.StartsWith("up to date: ", _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny").Output, StringComparison.Ordinal);
        Assert.Equal(time, File.GetLastWriteTimeUtc(_shop.At("models/tiny/model.onnx")));
        Assert.DoesNotContain("up to date", _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny", "--checkpoint", "latest").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluate_Package_PrintsPerplexityAndBaseline()
    {
        _shop.Export();
        var (code, output, error) = _shop.Run("evaluate", "--model", "@models/tiny", "--data", "@data/shards");
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("on 400 held-out tokens", output, StringComparison.Ordinal);
        Assert.Contains($"windows of {Workshop.Context}, {Workshop.Context} apart", output, StringComparison.Ordinal);

        var result = PackageEvaluation.Run(new(_shop.At("models/tiny"), _shop.At("data/shards"), 1000, null, null, 1));
        Assert.Contains(FormattableString.Invariant($"perplexity   {result.Model.Perplexity:0.000} ± "), output, StringComparison.Ordinal);
        Assert.True(result.Model.Perplexity < result.Unigram.Perplexity, "the model wrote the text");
    }

    [Fact]
    public void Quantize_Package_WritesASmallerOneWithItsMeasuredCost()
    {
        _shop.Export();
        var (code, output, error) = _shop.Run("quantize", "--model", "@models/tiny", "--out", "@models/int8", "--data", "@data/shards");
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("perplexity", output, StringComparison.Ordinal);

        var manifest = PackageManifest.Verify(_shop.At("models/int8"));
        var report = QuantizationReport.Parse(manifest.Quantization)!;
        Assert.Equal("int8", manifest.Precision);
        Assert.InRange(report.Quality.PerplexityLoss, -0.01, 0.01);
        Assert.InRange(report.Quality.Top1Agreement, 0.9, 1);
        Assert.InRange(report.SizeRatio, 0.28, 0.40); // of a model so small that its norms and tables count
        Assert.Equal(new FileInfo(_shop.At("models/int8/model.onnx")).Length, report.QuantizedBytes);
        Assert.Empty(report.KeptWeights);
        Assert.All(report.Speed, s => Assert.True(s is { FloatPrefill: > 0, QuantizedPrefill: > 0, FloatDecode: > 0, QuantizedDecode: > 0 }));
        Assert.Equal(0, _shop.Run("evaluate", "--model", "@models/int8", "--data", "@data/shards").Code);
    }

    [Fact]
    public void Quantize_ModelCard_HoldsAllNumbers()
    {
        _shop.Export();
        var report = new QuantizationGate(Job, TimeProvider.System).Run();
        using var card = JsonDocument.Parse(File.ReadAllBytes(_shop.At("models/int8/model_card.json")));
        var section = card.RootElement.GetProperty("quantization");
        Assert.Equal(report.Quality.PerplexityLoss, section.GetProperty("quality").GetProperty("perplexity_loss").GetDouble());
        Assert.Equal(report.Quality.MeanDivergence, section.GetProperty("quality").GetProperty("mean_divergence").GetDouble());
        Assert.Equal(report.Quality.Top1Agreement, section.GetProperty("quality").GetProperty("top1_agreement").GetDouble());
        Assert.Equal("CPUExecutionProvider", section.GetProperty("speed")[0].GetProperty("provider").GetString());

        string text = File.ReadAllText(_shop.At("models/int8/MODEL_CARD.md"));
        Assert.StartsWith("# int8\n", text, StringComparison.Ordinal);
        foreach (string part in new[] { "perplexity", "prefill, tokens/s, CPUExecutionProvider", "decode, tokens/s", "from the run `tiny`, step 10", "likeliest token", "none was left out" })
            Assert.Contains(part, text, StringComparison.Ordinal);
    }

    [Fact]
    public void Quantize_Again_IsUpToDateUntilTheModelChanges()
    {
        _shop.Export();
        string[] command = ["quantize", "--model", "@models/tiny", "--out", "@models/int8", "--data", "@data/shards"];
        Assert.StartsWith(_shop.At("models/int8"), _shop.Run(command).Output, StringComparison.Ordinal);
        Assert.StartsWith("up to date: ", _shop.Run(command).Output, StringComparison.Ordinal);
        Assert.Equal(0, _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny", "--checkpoint", "latest").Code);
        Assert.DoesNotContain("up to date", _shop.Run([.. command, "--max-perplexity-loss", "1"]).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Quantize_BrokenScale_FailsTheGateAndWritesNothing()
    {
        _shop.Export();
        var gate = new QuantizationGate(Job, TimeProvider.System) { Quantizer = WithBrokenScale };
        var refusal = Assert.Throws<ToolException>(gate.Run);
        Assert.Contains("was not written: the perplexity grows by", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(["tiny"], Directory.EnumerateFileSystemEntries(_shop.At("models")).Select(Path.GetFileName));
    }

    [Fact]
    public void Quantize_BoundThatNothingMeets_IsOneLineAndExitCode2()
    {
        _shop.Export();
        var (code, output, error) = _shop.Run("quantize", "--model", "@models/tiny", "--out", "@models/int8", "--data", "@data/shards", "--max-perplexity-loss", "-0.5");
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith("error: '@models/int8' was not written: the perplexity grows by", error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Quantize_RefusedAgain_LeavesTheOldPackage()
    {
        _shop.Export();
        var gate = new QuantizationGate(Job, TimeProvider.System);
        gate.Run();
        Assert.Throws<ToolException>(new QuantizationGate(Job, TimeProvider.System) { Quantizer = WithBrokenScale }.Run);
        PackageManifest.Verify(_shop.At("models/int8"));
    }

    [Fact]
    public void Inspect_Model_ShowsArchitectureOperatorsAndFiles()
    {
        _shop.Export();
        var (code, output, _) = _shop.Run("inspect", "model", "@models/tiny");
        Assert.Equal(0, code);
        foreach (string part in new[] { "float32, run tiny, step 10", "layers 2, width 64, heads 4 over 2", "context 32, begins with", " RotaryCachedAttention", "  model.onnx\n" })
            Assert.Contains(part, output, StringComparison.Ordinal);
        File.AppendAllText(_shop.At("models/tiny/config.json"), " ");
        Assert.Equal(2, _shop.Run("inspect", "model", "@models/tiny").Code);
    }

    [Theory]
    [InlineData("error: '@nowhere' is not a training run: it has no run.json.", "export", "--run", "@nowhere", "--out", "@x")]
    [InlineData("error: '@runs/tiny' has no checkpoint 'step-7'; it has step-10, step-20; or say best or latest.", "export", "--run", "@runs/tiny", "--out", "@x", "--checkpoint", "step-7")]
    [InlineData("error: No tokenizer.json in @nowhere; name its folder with --tokenizer.", "export", "--run", "@runs/tiny", "--out", "@x", "--tokenizer", "@nowhere")]
    [InlineData("error: @data is not a model package: it has no manifest.json.", "evaluate", "--model", "@data", "--data", "@data/shards")]
    [InlineData("error: @data is not a model package: it has no manifest.json.", "quantize", "--model", "@data", "--out", "@x", "--data", "@data/shards")]
    [InlineData("error: shard folder '@nowhere' does not exist", "quantize", "--model", "@models/tiny", "--out", "@x", "--data", "@nowhere")]
    [InlineData("error: The block size must be 32, 64, 128 or 256, not 48.", "quantize", "--model", "@models/tiny", "--out", "@x", "--data", "@data/shards", "--block", "48")]
    [InlineData("error: --model and --out are the same folder; the float model is kept, so choose another for --out.", "quantize", "--model", "@models/tiny", "--out", "@models/../models/tiny/", "--data", "@data/shards")]
    [InlineData("error: Windows must hold from 1 to the model's 32 tokens, not 64.", "evaluate", "--model", "@models/tiny", "--data", "@data/shards", "--context", "64")]
    [InlineData("error: The stride must be from 1 to the window of 32 tokens, got 40.", "evaluate", "--model", "@models/tiny", "--data", "@data/shards", "--stride", "40")]
    public void Command_Mistake_IsOneLineAndExitCode2(string message, params string[] command)
    {
        _shop.Export();
        var (code, _, error) = _shop.Run(command);
        Assert.Equal((2, message), (code, error.TrimEnd()));
        Assert.False(Directory.Exists(_shop.At("x")));
    }

    [Fact]
    public void Export_DamagedCheckpoint_IsRefused()
    {
        string weights = _shop.At("runs/tiny/checkpoints/step-00000010/model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, bytes[..^4]);
        var (code, _, error) = _shop.Run("export", "--run", "@runs/tiny", "--out", "@models/tiny");
        Assert.Equal(2, code);
        Assert.Contains("model.safetensors is truncated or damaged", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluate_ShardsOfAnotherTokenizer_AreRefused()
    {
        _shop.Export();
        string index = _shop.At("data/shards/index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace(_shop.Tokenizer.Hash, new string('0', 64), StringComparison.Ordinal));
        var (code, _, error) = _shop.Run("evaluate", "--model", "@models/tiny", "--data", "@data/shards");
        Assert.Equal((2, "error: The shards in '@data/shards' were made with another tokenizer than the model's."), (code, error.TrimEnd()));
    }

    /// <summary>The scales of one feed-forward matrix are three times too large.</summary>
    private static QuantizedModel WithBrokenScale(ModelProto model)
    {
        var result = WeightQuantizer.Quantize(model, new());
        var scales = result.Model.Graph.Initializer.First(t => t.Name.Contains("down_proj", StringComparison.Ordinal) && t.Name.EndsWith(".scale", StringComparison.Ordinal));
        float[] values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(scales.RawData.Span).ToArray();
        scales.RawData = Google.Protobuf.ByteString.CopyFrom(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values.Select(v => 3 * v).ToArray()));
        return result;
    }
}
