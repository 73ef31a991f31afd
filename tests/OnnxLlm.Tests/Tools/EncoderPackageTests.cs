using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Training;
using OnnxLlm.Text;
using OnnxLlm.Tools;
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
        var (code, output, _) = Call("inspect", "model", Package);
        Assert.Equal(0, code);
        Assert.Contains("bert, ", output, StringComparison.Ordinal);
        Assert.Contains("an encoder, ", output, StringComparison.Ordinal);

        string holds = $"{Package} holds an encoder (bert)";
        AssertRefused($"{holds}; quantize is for decoders, which continue texts.", "quantize", "--model", Package, "--out", Package + "-int8", "--data", Data);
        AssertRefused($"{holds}; evaluate is for decoders, which continue texts.", "evaluate", "--model", Package, "--data", Data);
        File.WriteAllText(Path.Combine(Folder, "task.jsonl"), """{"context":"a","choices":["b","c"],"answer":0}""");
        AssertRefused($"{holds}; evaluate is for decoders, which continue texts.", "evaluate", "--model", Package, "--task", Path.Combine(Folder, "task.jsonl"));
        AssertRefused($"{holds}; bench is for decoders, which continue texts.", "bench", Package);
        AssertRefused("Graphs for ORT Training are of decoders; a bert model is trained by the engine onnx.", "export", "--target", "ort-training", "--run", Path.Combine(Folder, "run"), "--out", Path.Combine(Folder, "ort"));
    }

    private string Package => Path.Combine(Folder, "package");

    private void Export() => Assert.Equal((0, ""), (Call("export", "--run", Path.Combine(Folder, "run"), "--out", Package) is var (code, _, error) ? (code, error) : default));

    private static void AssertRefused(string told, params string[] command)
    {
        var (code, output, error) = Call(command);
        Assert.Equal(2, code);
        Assert.Equal("", output);
        Assert.EndsWith(told, error.TrimEnd(), StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.TrimEnd());
    }

    private static (int Code, string Output, string Error) Call(params string[] command)
    {
        using StringWriter output = new(), error = new();
        return (ToolsProgram.Run(command, output, error), output.ToString(), error.ToString());
    }
}
