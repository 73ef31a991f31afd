using System.Collections.Immutable;
using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Encoders;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>The graph of a package against the plain loops, with a few hundred roundings of 6e-8 between them.</summary>
public sealed class MaskedLmGraphTests
{
    private const double Arithmetic = 2e-5;

    private static readonly TinyModel Model = TinyModel.Bert();

    private static readonly ReferenceEncoder Reference = new(Model.Config, name => [.. Model.Weight(name).Select(x => (double)x)]);

    private static readonly long[][] Rows = [[3, 17, 60, 5, 5, 42, 9], [8, 1, 33], [50]];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_OfEveryToken_EqualTheReference(bool kernels)
    {
        float[] logits = Run(kernels);
        int v = Model.Config.VocabularySize;
        Assert.Equal(3 * 7 * v, logits.Length);
        foreach (var (row, ids) in Rows.Index())
            Closeness.AssertClose(logits.AsSpan(row * 7 * v, ids.Length * v), Expected(ids, 0), Arithmetic, $"row {row}");
    }

    [Fact]
    public void Segments_MayBeGiven()
    {
        using var types = TensorBuffer.Of([.. Enumerable.Repeat(1L, 21)], 3, 7);
        Closeness.AssertClose(Run(true, (MaskedLmGraph.TokenTypeIds, types)).AsSpan(0, 7 * Model.Config.VocabularySize), Expected(Rows[0], 1), Arithmetic, "segment 1");
    }

    /// <summary>Fewer rows are multiplied, perhaps in another order.</summary>
    [Fact]
    public void LogitsMask_ChoosesRows_InOrder()
    {
        long[] chosen = new long[21];
        foreach (int i in new[] { 2, 5, 8, 14 }) chosen[i] = 1;
        using var wanted = TensorBuffer.Of(chosen, 3, 7);
        int v = Model.Config.VocabularySize;
        float[] all = Run(true), some = Run(true, (MaskedLmGraph.LogitsMask, wanted));
        Closeness.AssertClose(some, [.. new[] { 2, 5, 8, 14 }.SelectMany(i => all[(i * v)..((i + 1) * v)])], Arithmetic, "chosen rows");
    }

    [Fact]
    public void Package_OfAnEncoder_HasNoFilesOfThoseThatContinueTexts()
    {
        using var package = new TinyPackage(Model);
        var manifest = PackageManifest.Verify(package.Folder);
        Assert.Equal(["config.json", "model.onnx", "model.safetensors", "tokenizer.json"], manifest.Files.Keys);
        Assert.Equal(("bert", ModelParameters.Count(Model.Config)), (manifest.ModelType, manifest.ParameterCount));
        Assert.Equal(Model.Config, ModelConfig.Load(Path.Combine(package.Folder, "config.json")));
    }

    /// <summary>A batch and each of its rows alone: products over other numbers of rows may add up in another order, so they are equal within arithmetic.</summary>
    [Fact]
    public void Session_ReadsSequencesTogether_AsAlone()
    {
        using var package = new TinyPackage(Model);
        using var session = new EncoderSession(ModelPackage.Open(package.Folder), new SessionSettings { Threads = 1 });
        EncoderInput[] inputs = [Input(Rows[0], 1, 6), Input(Rows[1]), Input(Rows[2], 0)];
        float[] together = session.Score(inputs).ToArray();
        float[] alone = [.. new[] { inputs[0], inputs[2] }.SelectMany(input => session.Score([input]).ToArray())];
        int v = session.Scores;

        Closeness.AssertClose(together, alone, Arithmetic, "together and alone");
        Closeness.AssertClose(alone.AsSpan(v, v), Expected(Rows[0], 0).AsSpan(6 * v), Arithmetic, "the second place");
        Assert.Equal(together, session.Score(inputs).ToArray());
    }

    [Fact]
    public void Sessions_OfTheOtherFamily_AreRefused()
    {
        using TinyPackage encoder = new(Model), decoder = new(TinyModel.Named("gpt2-tiny"));
        var settings = new SessionSettings { Threads = 1 };
        Assert.EndsWith("holds an encoder (bert), which continues no text.", Refusal(() => new GenerationSession(ModelPackage.Open(encoder.Folder), 1, 8, settings)), StringComparison.Ordinal);
        Assert.EndsWith("holds a decoder (gpt2), which neither finds hidden tokens nor gives labels.", Refusal(() => new EncoderSession(ModelPackage.Open(decoder.Folder), settings)), StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_ThatAreNoNumbers_AreRefusedAtOnce()
    {
        var broken = Model with { Weight = name => name == "cls.predictions.bias" ? [.. Enumerable.Repeat(float.NaN, Model.Config.VocabularySize)] : Model.Weight(name) };
        using var package = new TinyPackage(broken);
        Assert.EndsWith("the model gives scores that are not finite.", Refusal(() => new EncoderSession(ModelPackage.Open(package.Folder), new SessionSettings { Threads = 1 })), StringComparison.Ordinal);
    }

    private static EncoderInput Input(long[] ids, params int[] places) => new([.. ids.Select(id => (int)id)], [.. places]);

    private static float[] Expected(long[] ids, long type) =>
        [.. Reference.Logits(ids, [.. ids.Select(_ => 1L)], type).SelectMany(row => row).Select(x => (float)x)];

    /// <summary>The three rows, padded with token 7.</summary>
    private static float[] Run(bool kernels, params (string Name, TensorBuffer Buffer)[] more)
    {
        using var session = new OrtSession(MaskedLmGraph.Export(Model.Config, Model.Source).ToByteArray(), new SessionSettings { Kernels = kernels, Threads = 1 });
        using TensorBuffer ids = Padded(id => id, 7), mask = Padded(_ => 1, 0);
        var feeds = more.ToDictionary(m => m.Name, m => m.Buffer);
        (feeds[MaskedLmGraph.InputIds], feeds[MaskedLmGraph.AttentionMask]) = (ids, mask);
        using var logits = session.Run(feeds)[MaskedLmGraph.Logits];
        return logits.Span<float>().ToArray();
    }

    private static TensorBuffer Padded(Func<long, long> value, long padding) =>
        TensorBuffer.Of([.. Rows.SelectMany(row => row.Select(value).Concat(Enumerable.Repeat(padding, 7 - row.Length)))], 3, 7);

    private static string Refusal(Func<IDisposable> open) => Assert.Throws<ModelRuntimeException>(() => open().Dispose()).Message;
}
