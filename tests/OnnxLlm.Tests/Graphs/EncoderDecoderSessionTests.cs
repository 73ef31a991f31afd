using System.Collections.Immutable;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>The graphs of a package against the plain loops, with a few hundred roundings of 6e-8 between them.</summary>
public sealed class EncoderDecoderSessionTests
{
    private const double Arithmetic = 2e-5;

    private static readonly SessionSettings Settings = new() { Threads = 1 };

    private static readonly TinyModel Model = TinyModel.T5(positions: 40);

    /// <summary>One of them longer than the shortest memory that a session makes.</summary>
    private static readonly int[][] Texts = [[3, 17, 60, 5, 5, 42, 9], [8], [.. Enumerable.Range(20, 18)]];

    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, false)]
    public void Scores_OfEveryStep_EqualTheReference(bool gated, bool tied, bool kernels)
    {
        var model = TinyModel.T5(gated, tied, positions: 40);
        using var package = new TinyPackage(model);
        using var session = new EncoderDecoderSession(ModelPackage.Open(package.Folder), Settings with { Kernels = kernels });
        session.Add([.. Texts.Select(text => text.ToImmutableArray())]);

        // Longer than the shortest memory, so that it grows on the way.
        int[][] written = [.. Texts.Select((_, row) => Drawn(row, 20))];
        for (int t = 0; t < 20; t++)
        {
            float[] scores = session.Step([.. written.Select(tokens => tokens[t])]).ToArray();
            for (int row = 0; row < Texts.Length; row++) AssertClose(model, scores, row, Texts[row], written[row][..(t + 1)]);
        }
    }

    /// <summary>Rows begin and end while others are under way: each is answered as if it were alone.</summary>
    [Fact]
    public void Rows_ThatComeAndGo_ChangeNothingForTheOthers()
    {
        using var package = new TinyPackage(Model);
        using var session = new EncoderDecoderSession(ModelPackage.Open(package.Folder), Settings);
        var random = new Random(7);
        var rows = new List<(int[] Text, List<int> Written)>();
        for (int step = 0; step < 60; step++)
        {
            if (rows.Count == 0 || (rows.Count < 5 && random.Next(3) == 0))
            {
                int[][] more = [.. Enumerable.Range(0, random.Next(1, 3)).Select(i => Drawn(step + i, random.Next(1, 33)))];
                session.Add([.. more.Select(text => text.ToImmutableArray())]);
                rows.AddRange(more.Select(text => (text, new List<int>())));
            }

            foreach (var (_, written) in rows) written.Add(random.Next(Model.Config.VocabularySize));
            float[] scores = session.Step([.. rows.Select(row => row.Written[^1])]).ToArray();
            for (int row = 0; row < rows.Count; row++) AssertClose(Model, scores, row, rows[row].Text, [.. rows[row].Written]);
            for (int row = rows.Count - 1; row >= 0; row--)
            {
                if (random.Next(8) > 0 && rows[row].Written.Count < 24) continue;
                session.Remove(row);
                rows[row] = rows[^1];
                rows.RemoveAt(rows.Count - 1);
            }

            Assert.Equal(rows.Count, session.Rows);
        }
    }

    [Fact]
    public void Package_HasAGraphForEachSide_AndNoFilesOfThoseThatContinueTexts()
    {
        using var package = new TinyPackage(Model);
        var manifest = PackageManifest.Verify(package.Folder);
        Assert.Equal(["config.json", "encoder_model.onnx", "model.onnx", "model.safetensors", "tokenizer.json"], manifest.Files.Keys);
        Assert.Equal(("t5", ModelParameters.Count(Model.Config)), (manifest.ModelType, manifest.ParameterCount));
        Assert.Equal(Model.Config, ModelConfig.Load(Path.Combine(package.Folder, "config.json")));

        var opened = ModelPackage.Open(package.Folder);
        using var other = new TinyPackage(Model with { Weight = name => name == "encoder.final_layer_norm.weight" ? [.. Model.Weight(name).Select(x => 2 * x)] : Model.Weight(name) });
        Assert.NotEqual(opened.ModelHash, ModelPackage.Open(other.Folder).ModelHash);
    }

    [Fact]
    public void Package_WithoutItsEncoder_IsRefused()
    {
        using var package = new TinyPackage(Model);
        PackageWriter.Replace(package.Folder, partial =>
        {
            foreach (string file in Directory.EnumerateFiles(package.Folder).Where(file => Path.GetFileName(file) is not ("encoder_model.onnx" or "manifest.json"))) File.Copy(file, Path.Combine(partial, Path.GetFileName(file)));
            return PackageManifest.Read(package.Folder);
        });
        Assert.EndsWith("does not list encoder_model.onnx.", Refusal(() => new EncoderDecoderSession(ModelPackage.Open(package.Folder), Settings)), StringComparison.Ordinal);
    }

    [Fact]
    public void Sessions_OfOtherFamilies_AreRefused()
    {
        using TinyPackage both = new(Model), encoder = new(TinyModel.Bert()), decoder = new(TinyModel.Named("gpt2-tiny"));
        Assert.EndsWith("holds an encoder-decoder (t5), which continues no text.", Refusal(() => new GenerationSession(ModelPackage.Open(both.Folder), 1, 8, Settings)), StringComparison.Ordinal);
        Assert.EndsWith("holds an encoder-decoder (t5), which neither finds hidden tokens nor gives labels.", Refusal(() => new EncoderSession(ModelPackage.Open(both.Folder), Settings)), StringComparison.Ordinal);
        Assert.EndsWith("holds an encoder (bert), which writes no text for another.", Refusal(() => new EncoderDecoderSession(ModelPackage.Open(encoder.Folder), Settings)), StringComparison.Ordinal);
        Assert.EndsWith("holds a decoder (gpt2), which writes no text for another.", Refusal(() => new EncoderDecoderSession(ModelPackage.Open(decoder.Folder), Settings)), StringComparison.Ordinal);
    }

    [Fact]
    public void Steps_ThatAskForTooMuch_AreRefused()
    {
        using var package = new TinyPackage(TinyModel.T5(positions: 3));
        using var session = new EncoderDecoderSession(ModelPackage.Open(package.Folder), Settings);
        Assert.Equal("A text has 1 to 3 tokens, got 4.", Assert.Throws<ModelRuntimeException>(() => session.Add([[1], [1, 2, 3, 4]])).Message);
        Assert.Equal("A text has 1 to 3 tokens, got 0.", Assert.Throws<ModelRuntimeException>(() => session.Add([[]])).Message);
        session.Add([[1, 2, 3]]);
        Assert.Equal("A step writes one token for each of 1 rows, got 2.", Assert.Throws<ModelRuntimeException>(() => session.Step([0, 0])).Message);
        Assert.Equal("A token is outside the vocabulary of 61.", Assert.Throws<ModelRuntimeException>(() => session.Step([61])).Message);
        for (int i = 0; i < 3; i++) session.Step([0]);
        Assert.Equal("A row holds 3 tokens already, the model's limit.", Assert.Throws<ModelRuntimeException>(() => session.Step([0])).Message);
    }

    [Fact]
    public void Weights_ThatAreNoNumbers_AreRefusedAtOnce()
    {
        var broken = Model with { Weight = name => name == "decoder.final_layer_norm.weight" ? [.. Enumerable.Repeat(float.NaN, Model.Config.Width)] : Model.Weight(name) };
        using var package = new TinyPackage(broken);
        Assert.EndsWith("the model gives scores that are not finite.", Refusal(() => new EncoderDecoderSession(ModelPackage.Open(package.Folder), Settings)), StringComparison.Ordinal);
    }

    /// <summary>A token whose row of the table is no number makes everything that is computed from it none: in what was read, if it was read, and in what was written. Whoever has that row next knows nothing of it.</summary>
    [Fact]
    public void Row_ThatHeldNoNumbers_IsCleanForTheNext()
    {
        const int bad = 50;
        var untied = TinyModel.T5(tied: false, positions: 40);
        int width = untied.Config.Width;
        var broken = untied with { Weight = name => name == "shared.weight" ? [.. untied.Weight(name).Select((x, i) => i / width == bad ? float.NaN : x)] : untied.Weight(name) };
        using var package = new TinyPackage(broken);
        using EncoderDecoderSession used = new(ModelPackage.Open(package.Folder), Settings), fresh = new(ModelPackage.Open(package.Folder), Settings);
        used.Add([[1, 2, bad, 4, 5, 6], [7, 8]]);
        float[] first = used.Step([3, 3]).ToArray();
        Assert.All(first[..untied.Config.VocabularySize], score => Assert.Equal(float.NaN, score));
        Assert.All(first[untied.Config.VocabularySize..], score => Assert.False(float.IsNaN(score)));
        used.Step([3, bad]);
        used.Step([3, 3]);
        used.Remove(1);
        used.Remove(0);

        used.Add([[9, 10], [11]]);
        fresh.Add([[9, 10], [11]]);
        float[] expected = fresh.Step([3, 3]).ToArray();
        Assert.DoesNotContain(float.NaN, expected);
        Assert.Equal(expected, used.Step([3, 3]).ToArray());
    }

    private static void AssertClose(TinyModel model, float[] scores, int row, int[] text, int[] written)
    {
        var reference = new ReferenceEncoderDecoder(model.Config, name => [.. model.Weight(name).Select(x => (double)x)]);
        float[] expected = [.. reference.Logits([.. text], [.. text.Select(_ => 1L)], [.. written])[^1].Select(x => (float)x)];
        Closeness.AssertClose(scores.AsSpan(row * expected.Length, expected.Length), expected, Arithmetic, $"row {row}, token {written.Length}");
    }

    private static int[] Drawn(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(61))];
    }

    private static string Refusal(Func<IDisposable> open) => Assert.Throws<ModelRuntimeException>(() => open().Dispose()).Message;
}
