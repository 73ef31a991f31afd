using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// A tiny T5 against plain loops in double precision. As for decoders, an element is the end of a chain of a few hundred float32 operations, each with a
/// relative error of at most 6e-8.
/// </summary>
public sealed class EncoderDecoderTests
{
    private const double Arithmetic = 2e-5;
    private const int Batch = 3, Time = 12;

    private static readonly TrainingShape Shape = new(Batch, Time);

    /// <summary>One whole text, one with padding behind, one with padding before.</summary>
    private static readonly long[] Mask = [.. Enumerable.Range(0, Batch * Time).Select(i => i / Time == 1 && i % Time >= 7 || i / Time == 2 && i % Time < 3 ? 0L : 1)];

    private static long[] Ids { get; } = Drawn(1);

    private static long[] Written { get; } = Drawn(2);

    /// <summary>The targets are of different lengths, one of them empty.</summary>
    private static long[] Labels { get; } = [.. Drawn(3).Select((label, i) => i / Time != 1 && i % Time < 9 - i / Time ? label : -100)];

    public static TheoryData<bool, bool> Forms => new() { { false, true }, { true, false } };

    [Theory]
    [MemberData(nameof(Forms))]
    public void Logits_OfPaddedTexts_EqualTheReference(bool gated, bool tied)
    {
        var model = TinyModel.T5(gated, tied);
        foreach (bool kernels in new[] { true, false })
        {
            float[] logits = TrainingLogits.Of(model, Ids, Shape, kernels, Mask, Written);
            for (int row = 0; row < Batch; row++)
            {
                float[] expected = [.. Reference(model).Logits(Part(Ids, row), Part(Mask, row), Part(Written, row)).SelectMany(scores => scores).Select(x => (float)x)];
                Closeness.AssertClose(logits.AsSpan(row * expected.Length, expected.Length), expected, Arithmetic, $"row {row}");
            }
        }
    }

    [Fact]
    public void Padding_WhateverItHolds_LeavesTheScoresBitIdentical()
    {
        var model = TinyModel.T5();
        long[] other = [.. Ids.Select((id, i) => Mask[i] == 1 ? id : (id + 7) % model.Config.VocabularySize)];
        Assert.Equal(TrainingLogits.Of(model, Ids, Shape, mask: Mask, written: Written), TrainingLogits.Of(model, other, Shape, mask: Mask, written: Written));
    }

    /// <summary>Of what is written only what comes later sees a token; of what is read every place that is written.</summary>
    [Fact]
    public void ChangedToken_ReachesWhatMaySeeIt_AndNothingElse()
    {
        var model = TinyModel.T5();
        const int At = Time + 5;
        float[] before = TrainingLogits.Of(model, Ids, Shape, mask: Mask, written: Written);
        float[] written = TrainingLogits.Of(model, Ids, Shape, mask: Mask, written: Changed(Written)), read = TrainingLogits.Of(model, Changed(Ids), Shape, mask: Mask, written: Written);
        for (int i = 0; i < Mask.Length; i++)
        {
            Assert.Equal(i / Time != 1 || i < At, Row(before, i).SequenceEqual(Row(written, i)));
            Assert.Equal(i / Time != 1, Row(before, i).SequenceEqual(Row(read, i)));
        }

        long[] Changed(long[] ids) => [.. ids.Select((id, i) => i == At ? (id + 1) % model.Config.VocabularySize : id)];
        float[] Row(float[] logits, int token) => logits[(token * model.Config.VocabularySize)..((token + 1) * model.Config.VocabularySize)];
    }

    /// <summary>Among them the tables of distances, which every block reads.</summary>
    [Theory]
    [InlineData(false, true, ActivationCheckpointing.None)]
    [InlineData(true, false, ActivationCheckpointing.Block)]
    public void LossAndEveryGradient_EqualTheReferenceAndItsFiniteDifferences(bool gated, bool tied, ActivationCheckpointing checkpointing)
    {
        var model = TinyModel.T5(gated, tied);
        using var run = new TrainingRun(model.Config, Shape, step: new StepSettings { Checkpointing = checkpointing });
        run.Load(model);
        run.See(Mask);
        run.Write(Written);
        float scale = 1f / Labels.Count(label => label >= 0);

        float loss = run.Step(Ids, Labels, scale);

        Closeness.AssertClose([loss], [(float)(scale * Loss(Reference(model)))], Arithmetic, "loss");
        var random = new Random(3);
        Assert.Equal(2, run.Graphs.Parameters.Count(p => p.Name.EndsWith("relative_attention_bias.weight", StringComparison.Ordinal)));
        foreach (var p in run.Graphs.Parameters)
        {
            int[] elements = [.. Enumerable.Range(0, 6).Select(_ => random.Next((int)p.Count))];
            float[] expected = [.. elements.Select(i => (float)(scale * Difference(model, p.Name, i)))], all = run[p.GradientBuffer].ToArray();

            // The sign of a tensor's scale is its largest element, which need not be among those that were drawn.
            double largest = Math.Max(1e-3, all.Max(Math.Abs));
            foreach (var (i, value) in elements.Zip(expected)) Assert.True(Math.Abs(all[i] - value) <= Arithmetic * largest, $"{p.Name}[{i}]: {all[i]}, by differences {value}, largest {largest}");
        }
    }

    /// <summary>Although the table is looked up twice: all logits need never be in memory together.</summary>
    [Theory]
    [MemberData(nameof(Forms))]
    public void Loss_IsOneWithTheOutputLayer(bool gated, bool tied)
    {
        var step = TrainingGraphs.Create(TinyModel.T5(gated, tied).Config, Shape, new OptimizerSettings()).Step;
        Assert.Single(step.Nodes, node => node.Op == "LinearCrossEntropy");
        Assert.Equal(2, step.Nodes.Count(node => node.Op == "ScatterAddRows" && node[0].Shape[0] == 61));
    }

    /// <summary>A batch is filled up with rows of padding alone: they must not make anything else a NaN.</summary>
    [Fact]
    public void RowOfPaddingAlone_ChangesNoGradient()
    {
        var model = TinyModel.T5();
        float[][] Gradients(long[] ids, long[] written, long[] labels, long[] mask, int rows)
        {
            using var run = new TrainingRun(model.Config, new(rows, Time));
            run.Load(model);
            run.See(mask);
            run.Write(written);
            run.Step(ids, labels, 0.1f);
            return [.. run.Graphs.Parameters.Select(p => run[p.GradientBuffer].ToArray())];
        }

        long[] none = new long[Time];
        float[][] alone = Gradients(Part(Ids, 0), Part(Written, 0), Part(Labels, 0), Part(Mask, 0), 1);
        float[][] filled = Gradients([.. Part(Ids, 0), .. none], [.. Part(Written, 0), .. none], [.. Part(Labels, 0), .. Enumerable.Repeat(-100L, Time)], [.. Part(Mask, 0), .. none], 2);
        foreach (var (a, b) in alone.Zip(filled)) Closeness.AssertClose(b, a, Arithmetic, "gradient");
    }

    /// <summary>The classes of 32 for distances up to 128: one each up to 7 (15 in a decoder), then two for each doubling (one for each eighth of three doublings).</summary>
    [Theory]
    [InlineData(true, "0:0 -1:1 -7:7 -8:8 -11:8 -12:9 -15:9 -16:10 -22:10 -23:11 -32:12 -45:12 -46:13 -64:14 -90:14 -91:15 -128:15 -5000:15 1:17 7:23 8:24 16:26 32:28 64:30 128:31 5000:31")]
    [InlineData(false, "0:0 5:0 -1:1 -15:15 -16:16 -18:16 -19:17 -31:21 -32:21 -33:21 -34:21 -64:26 -112:30 -113:31 -128:31 -5000:31")]
    public void Distances_HaveThePublishedClasses(bool bothWays, string classes)
    {
        var config = ModelConfig.Preset("t5-small");
        foreach (var pair in classes.Split(' ').Select(pair => pair.Split(':')))
            Assert.Equal(long.Parse(pair[1], System.Globalization.CultureInfo.InvariantCulture), RelativeDistances.Bucket(config, int.Parse(pair[0], System.Globalization.CultureInfo.InvariantCulture), bothWays));
    }

    /// <summary>Both sides' products and squares of attention, and the decoder's view of the encoder.</summary>
    [Fact]
    public void Flops_CountBothSides()
    {
        var config = TinyModel.T5().Config;
        long attention = 4L * config.Width * config.QueryWidth, feedForward = 2L * config.Width * config.FeedForward;
        long matrices = config.Layers * (attention + feedForward) + config.DecoderLayers * (2 * attention + feedForward) + (long)config.Width * config.VocabularySize;
        double expected = 3 * (2.0 * matrices + 4.0 * (config.Layers + 2 * config.DecoderLayers) * config.QueryWidth * Time);
        Assert.Equal(expected, FlopCount.PerToken(TrainingGraphs.LogitsGraph(config, Shape), Shape.Rows), expected * 1e-12);
    }

    [Fact]
    public void Names_AreThoseOfHuggingFace()
    {
        string[] names = [.. ModelParameters.Of(TinyModel.T5(gated: true, tied: false).Config).Select(p => p.Name)];
        string[] block = [.. names.Where(name => name.StartsWith("decoder.block.1.", StringComparison.Ordinal)).Select(name => name["decoder.block.1.".Length..]).Order(StringComparer.Ordinal)];
        Assert.Equal(
            [
                "layer.0.SelfAttention.k.weight", "layer.0.SelfAttention.o.weight", "layer.0.SelfAttention.q.weight", "layer.0.SelfAttention.v.weight", "layer.0.layer_norm.weight",
                "layer.1.EncDecAttention.k.weight", "layer.1.EncDecAttention.o.weight", "layer.1.EncDecAttention.q.weight", "layer.1.EncDecAttention.v.weight", "layer.1.layer_norm.weight",
                "layer.2.DenseReluDense.wi_0.weight", "layer.2.DenseReluDense.wi_1.weight", "layer.2.DenseReluDense.wo.weight", "layer.2.layer_norm.weight",
            ], block);
        Assert.Equal(
            [
                "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "decoder.final_layer_norm.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                "encoder.final_layer_norm.weight", "lm_head.weight", "shared.weight",
            ], names.Where(name => name.Contains("bias", StringComparison.Ordinal) || !name.Contains("block", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

        // As published for t5-small: 60,506,624 with the shared table once.
        Assert.Equal(60_506_624, ModelParameters.Count(ModelConfig.Preset("t5-small")));
        Assert.Equal(222_903_552, ModelParameters.Count(ModelConfig.Preset("t5-base")));
        Assert.Equal(76_961_152, ModelParameters.Count(ModelConfig.Preset("t5-v1.1-small")));
    }

    [Fact]
    public void BiasOfAnotherShape_IsRefused()
    {
        var g = new GraphBuilder();
        Value q = g.Input("q", ElementType.Float, [2, 3, 4]), k = g.Input("k", ElementType.Float, [2, 5, 4]);
        var error = Assert.Throws<GraphException>(() => g.BiasedAttention(q, k, k, g.Input("bias", ElementType.Float, [1, 2, 3, 3]), heads: 2));
        Assert.Contains("bias [1, 2, 3, 3]", error.Message, StringComparison.Ordinal);
    }

    private static ReferenceEncoderDecoder Reference(TinyModel model) => new(model.Config, name => Weight(model, name));

    private static double[] Weight(TinyModel model, string name) => [.. model.Weight(name).Select(x => (double)x)];

    private static double Loss(ReferenceEncoderDecoder reference) =>
        Enumerable.Range(0, Batch).Sum(row => reference.Loss(Part(Ids, row), Part(Mask, row), Part(Written, row), Part(Labels, row)));

    /// <summary>Central difference of the loss by one element of a parameter.</summary>
    private static double Difference(TinyModel model, string parameter, int element)
    {
        const double Step = 1e-5;
        double At(double shift)
        {
            double[] moved = Weight(model, parameter);
            moved[element] += shift;
            return Loss(new(model.Config, name => name == parameter ? moved : Weight(model, name)));
        }
        return (At(Step) - At(-Step)) / (2 * Step);
    }

    private static long[] Part(long[] all, int row) => all[(row * Time)..((row + 1) * Time)];

    private static long[] Drawn(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Batch * Time).Select(_ => (long)random.Next(61))];
    }
}
