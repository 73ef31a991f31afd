using System.Diagnostics;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Tools;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary><c>tools export --target ort-training</c>, as a user types it.</summary>
public sealed class OrtTrainingExportTests : IDisposable
{
    private static readonly string Config = Repository.PathOf("training", "configs", "tiny.json");

    private readonly Workshop _shop = new();

    public void Dispose() => _shop.Dispose();

    [Fact]
    public void Config_GivesAWholeFolder_TheSameBytesEachTime()
    {
        var (code, output, error) = Export("a", "--config", Config, "--set", "optimizer.decay=all");
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("for ORT Training 1.19", output, StringComparison.Ordinal);
        Assert.Equal(0, Export("b", "--config", Config, "--set", "optimizer.decay=all").Code);

        string[] names = ["checkpoint", "config.json", "eval_model.onnx", "manifest.json", "optimizer_model.onnx", "training_model.onnx"];
        Assert.Equal(names, Directory.GetFiles(_shop.At("a")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        foreach (string name in names) Assert.True(File.ReadAllBytes(_shop.At($"a/{name}")).AsSpan().SequenceEqual(File.ReadAllBytes(_shop.At($"b/{name}"))), name);
        var manifest = TrainingManifest.Verify(_shop.At("a"));
        Assert.Equal(("ort-training", 4, 16), (manifest.Target, manifest.MicroBatch, manifest.SequenceLength));
    }

    [Fact]
    public void Models_HoldNothing_ThatTheRuntimeDoesNotKnow()
    {
        Export("a", "--config", Config, "--set", "optimizer.decay=all");
        foreach (string name in new[] { "training_model.onnx", "eval_model.onnx", "optimizer_model.onnx" })
        {
            var model = OnnxFile.Read(_shop.At($"a/{name}"));
            Assert.Empty(model.Functions);
            Assert.Empty(model.Graph.Node.Select(n => n.Domain).Distinct().Except(["", "com.microsoft"]));
            Assert.All(model.OpsetImport, o => Assert.True(o.Version <= (o.Domain == "" ? 21 : 1)));
            Assert.True(model.IrVersion <= 10);
        }
    }

    [Fact]
    public void Manifest_FindsAChangedByte()
    {
        Export("a", "--config", Config, "--set", "optimizer.decay=all");
        byte[] bytes = File.ReadAllBytes(_shop.At("a/checkpoint"));
        bytes[^1] ^= 1;
        File.WriteAllBytes(_shop.At("a/checkpoint"), bytes);
        Assert.Contains("checkpoint is not the file that the manifest describes", Assert.Throws<GraphException>(() => TrainingManifest.Verify(_shop.At("a"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RunAndPackage_GiveTheirWeights()
    {
        _shop.Export();
        Assert.Equal(0, Export("run", "--run", _shop.At("runs/tiny"), "--set", "optimizer.decay=all").Code);
        Assert.Equal(0, Export("package", "--package", _shop.At("models/tiny"), "--set", "optimizer.decay=all").Code);
        Assert.Equal(File.ReadAllBytes(_shop.At("run/checkpoint")), File.ReadAllBytes(_shop.At("package/checkpoint")));
        Assert.Equal(0, Export("fresh", "--config", _shop.At("runs/tiny/run.json"), "--set", "optimizer.decay=all").Code);
        Assert.NotEqual(File.ReadAllBytes(_shop.At("run/checkpoint")), File.ReadAllBytes(_shop.At("fresh/checkpoint")));
    }

    [Fact]
    public void Checker_TrainsTheFolder_InTheGenuineRuntime()
    {
        Assert.Equal(0, Export("a", "--config", Config, "--bake-learning-rate", "--set", "optimizer.decay=all", "frozen=[\"model.norm.weight\"]").Code);

        var (code, output, error) = Check("a", "--steps", "20");

        Assert.Equal((0, ""), (code, error));
        double[] held = [.. output.Split('\n').Where(l => l.StartsWith("held-out", StringComparison.Ordinal)).Select(l => double.Parse(l.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(20, output.Split('\n').Count(l => l.StartsWith("step ", StringComparison.Ordinal)));
        Assert.True(held[1] < held[0], output);
        File.WriteAllText(_shop.At("a/checkpoint"), "no checkpoint");
        (code, _, error) = Check("a");
        Assert.Equal(2, code);
        Assert.Matches("^error: the runtime refuses .*Checkpoint verification failed.*\n$", error);
    }

    [Theory]
    [InlineData("error: Nothing to export: name a --config, a --run or a --package.\n")]
    [InlineData("error: A --run has its own config and weights; leave out --config and --package.\n", "--run", "x", "--config", "y")]
    [InlineData("error: ORT Training decays norms and biases as it does matrices: set optimizer.decay to all (our own engine then does so too), or optimizer.weight_decay to 0.\n", "--config", "CONFIG")]
    [InlineData("error: ORT Training has an SGD without weight decay: set optimizer.weight_decay to 0, or optimizer.type to adamw.\n", "--config", "CONFIG", "--set", "optimizer.type=sgd")]
    [InlineData("error: CONFIG: optimizer.wieght_decay: unknown key. Did you mean 'weight_decay'?\n", "--config", "CONFIG", "--set", "optimizer.wieght_decay=0")]
    [InlineData("error: --set nonsense: expected key=value\n", "--config", "CONFIG", "--set", "nonsense")]
    [InlineData("error: Sequences of 17 tokens are longer than the model's 16 positions.\n", "--config", "CONFIG", "--set", "sequence_length=17", "optimizer.decay=all")]
    [InlineData("error: frozen: nothing is left to train.\n", "--config", "CONFIG", "--set", "frozen=[\"*\"]", "optimizer.decay=all")]
    public void Mistake_IsOneLine(string message, params string[] arguments)
    {
        var (code, _, error) = Export("a", [.. arguments.Select(a => a == "CONFIG" ? Config : a)]);
        Assert.Equal((2, message.Replace("CONFIG", Config, StringComparison.Ordinal)), (code, error));
        Assert.False(Directory.Exists(_shop.At("a")));
    }

    private (int Code, string Output, string Error) Export(string folder, params string[] arguments) =>
        _shop.Run(["export", "--target", "ort-training", "--out", _shop.At(folder), .. arguments]);

    private (int Code, string Output, string Error) Check(string folder, params string[] arguments)
    {
        using var node = Process.Start(new ProcessStartInfo("node", [Repository.PathOf("tests", "ort-training", "train.mjs"), _shop.At(folder), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var error = node.StandardError.ReadToEndAsync();
        string output = node.StandardOutput.ReadToEnd();
        node.WaitForExit();
        return (node.ExitCode, output, error.Result);
    }
}
