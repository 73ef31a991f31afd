using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Training;
using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Tools;

/// <summary>A run of an encoder becomes a package; what the tools do with it, or say that they cannot.</summary>
public sealed class EncoderPackageTests : MaskedRuns
{
    /// <summary>In the cycle each token is the one before it plus seven, so a hidden one can be told.</summary>
    [Fact]
    public void TrainedRun_Exported_FindsHiddenTokens()
    {
        Assert.Equal(Outcome.Finished, Run("run", "steps=1500", "schedule.warmup_steps=20", "model.initializer_range=0.1", "threads=2"));
        Export();
        var package = ModelPackage.Open(Package);
        Assert.Equal((true, 0, 1), (package.Config.IsEncoder, package.Config.EosTokenId, package.Config.PadTokenId));
        int mask = Tokenizer.Load(package.Folder).Special.Mask!.Value;
        using var session = new EncoderSession(package, new SessionSettings { Threads = 1 });
        int[] cycle = Cycle(30, Time);
        foreach (int place in new[] { 1, 6, 14 })
        {
            int[] tokens = [.. cycle];
            tokens[place] = mask;
            float[] scores = session.Score([new([.. tokens], [place])]).ToArray();
            Assert.Equal(cycle[place], Array.IndexOf(scores, scores.Max()));
        }
    }

    [Fact]
    public void Commands_ForDecoders_RefuseAnEncoderInOneSentence_AndInspectShowsIt()
    {
        Run("run", "steps=2");
        Export();
        var output = ToolCall.Succeeds("inspect", "model", Package);
        Assert.Contains("bert, ", output, StringComparison.Ordinal);
        Assert.Contains("an encoder, ", output, StringComparison.Ordinal);

        string holds = $"{Package} holds an encoder (bert)";
        ToolCall.AssertRefused($"{holds}; quantize is for decoders, which continue texts.", "quantize", "--model", Package, "--out", Package + "-int8", "--data", Data);
        ToolCall.AssertRefused($"{holds}; evaluate is for decoders, which continue texts.", "evaluate", "--model", Package, "--data", Data);
        File.WriteAllText(Path.Combine(Folder, "task.jsonl"), """{"context":"a","choices":["b","c"],"answer":0}""");
        ToolCall.AssertRefused($"{holds}; evaluate is for decoders, which continue texts.", "evaluate", "--model", Package, "--task", Path.Combine(Folder, "task.jsonl"));
        ToolCall.AssertRefused($"{holds}; bench is for decoders, which continue texts.", "bench", Package);
        ToolCall.AssertRefused("Graphs for ORT Training are of decoders; a bert model is trained by the engine onnx.", "export", "--target", "ort-training", "--run", Path.Combine(Folder, "run"), "--out", Path.Combine(Folder, "ort"));
    }

    private string Package => Path.Combine(Folder, "package");

    private void Export() => ToolCall.Succeeds("export", "--run", Path.Combine(Folder, "run"), "--out", Package);
}
