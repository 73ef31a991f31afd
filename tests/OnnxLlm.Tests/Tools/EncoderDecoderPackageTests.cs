using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Training;
using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Tools;

/// <summary>A run of an encoder-decoder becomes a package; what the tools do with it, or say that they cannot.</summary>
public sealed class EncoderDecoderPackageTests : PairRuns
{
    [Fact]
    public void TrainedRun_Exported_CopiesWordsThatItHasNotSeen()
    {
        Assert.Equal(Outcome.Finished, Learn("run"));
        Export();
        var package = ModelPackage.Open(Package);
        Assert.Equal((true, 0, 1, 1), (package.Config.IsEncoderDecoder, package.Config.EosTokenId, package.Config.PadTokenId, package.Config.DecoderStartTokenId));
        using var session = new EncoderDecoderSession(package, new SessionSettings { Threads = 1 });
        string[] copies = Written(session, Tokenizer.Load(package.Folder), Unseen);

        // A loss of 0.1 a token is, in words of up to nine, far from certain; what counts is that it copies, not that it never errs.
        Assert.InRange(Unseen.Zip(copies).Count(pair => pair.First == pair.Second), Unseen.Length * 9 / 10, Unseen.Length);
    }

    [Fact]
    public void Commands_ForDecoders_RefuseAnEncoderDecoderInOneSentence_AndInspectShowsIt()
    {
        Run("run", "steps=2");
        Export();
        var output = ToolCall.Succeeds("inspect", "model", Package);
        Assert.Contains("t5, ", output, StringComparison.Ordinal);
        Assert.Contains("an encoder-decoder, ", output, StringComparison.Ordinal);

        string holds = $"{Package} holds an encoder-decoder (t5)";
        ToolCall.AssertRefused($"{holds}; quantize is for decoders, which continue texts.", "quantize", "--model", Package, "--out", Package + "-int8");
        ToolCall.AssertRefused($"{holds}; evaluate is for decoders, which continue texts.", "evaluate", "--model", Package, "--data", Data);
        ToolCall.AssertRefused($"{holds}; bench is for decoders, which continue texts.", "bench", Package);
        ToolCall.AssertRefused("Graphs for ORT Training are of decoders; a t5 model is trained by the engine onnx.", "export", "--target", "ort-training", "--run", Path.Combine(Folder, "run"), "--out", Path.Combine(Folder, "ort"));
    }

    /// <summary>The likeliest token at each step, for all words together.</summary>
    private static string[] Written(EncoderDecoderSession session, Tokenizer tokenizer, string[] words)
    {
        int end = tokenizer.Special.Eos!.Value;
        session.Add([.. words.Select(word => tokenizer.Encode(word).Append(end).ToImmutableArray())]);
        var written = words.Select(_ => new List<int> { session.StartToken }).ToArray();
        for (int t = 0; t < Time; t++)
        {
            float[] scores = session.Step([.. written.Select(tokens => tokens[^1])]).ToArray();
            foreach (var (row, tokens) in written.Index())
            {
                var mine = scores.AsSpan(row * session.VocabularySize, session.VocabularySize);
                tokens.Add(System.Numerics.Tensors.TensorPrimitives.IndexOfMax(mine));
            }
        }

        return [.. written.Select(tokens => tokenizer.Decode([.. tokens.Skip(1).TakeWhile(token => token != end)]))];
    }

    private string Package => Path.Combine(Folder, "package");

    private void Export() => ToolCall.Succeeds("export", "--run", Path.Combine(Folder, "run"), "--out", Package);
}
