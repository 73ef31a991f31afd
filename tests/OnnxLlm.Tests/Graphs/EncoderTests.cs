using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// A tiny BERT against plain loops in double precision. As for decoders, an element is the end of a chain of a few hundred float32 operations, each with a
/// relative error of at most 6e-8.
/// </summary>
public sealed class EncoderTests
{
    private const double Arithmetic = 2e-5;
    private const int Batch = 3, Time = 12;

    private static readonly TrainingShape Shape = new(Batch, Time);

    private static readonly TinyModel Model = TinyModel.Bert();

    /// <summary>One whole sequence, one with padding behind, one with padding before.</summary>
    private static readonly long[] Mask = [.. Enumerable.Range(0, Batch * Time).Select(i => i / Time == 1 && i % Time >= 7 || i / Time == 2 && i % Time < 3 ? 0L : 1)];

    private static long[] Ids { get; } = Drawn(1);

    /// <summary>Of tokens only, every third or so.</summary>
    private static long[] Labels { get; } = [.. Drawn(2).Select((label, i) => Mask[i] == 1 && i % 3 == 1 ? label : -100)];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_OfPaddedSequences_EqualTheReference(bool kernels)
    {
        float[] logits = TrainingLogits.Of(Model, Ids, Shape, kernels, Mask);
        for (int row = 0; row < Batch; row++)
        {
            double[][] expected = Reference().Logits(Part(Ids, row), Part(Mask, row));
            for (int t = 0; t < Time; t++)
                if (Mask[row * Time + t] == 1) Closeness.AssertClose(Row(logits, row * Time + t), [.. expected[t].Select(x => (float)x)], Arithmetic, $"row {row}, place {t}");
        }
    }

    [Fact]
    public void Padding_WhateverItHolds_LeavesTheTokensBitIdentical()
    {
        long[] other = [.. Ids.Select((id, i) => Mask[i] == 1 ? id : (id + 7) % Model.Config.VocabularySize)];
        float[] before = TrainingLogits.Of(Model, Ids, Shape, mask: Mask), after = TrainingLogits.Of(Model, other, Shape, mask: Mask);
        for (int i = 0; i < Mask.Length; i++) Assert.Equal(Mask[i] == 1, Row(before, i).SequenceEqual(Row(after, i)));
    }

    /// <summary>Products over rows of another number may add up in another order, so it is equality within arithmetic.</summary>
    [Fact]
    public void Sequence_WithPaddingBehind_EqualsItselfAlone()
    {
        float[] padded = TrainingLogits.Of(Model, Ids, Shape, mask: Mask), alone = TrainingLogits.Of(Model, Ids[Time..(Time + 7)], new(1, 7), mask: [1, 1, 1, 1, 1, 1, 1]);
        Closeness.AssertClose(padded.AsSpan(Time * Model.Config.VocabularySize, alone.Length), alone, Arithmetic, "logits");
    }

    [Fact]
    public void ChangedToken_ReachesEveryPlaceOfItsSequence_AndNoOther()
    {
        long[] other = [.. Ids];
        other[Time - 1] = (other[Time - 1] + 1) % Model.Config.VocabularySize;
        float[] before = TrainingLogits.Of(Model, Ids, Shape, mask: Mask), after = TrainingLogits.Of(Model, other, Shape, mask: Mask);
        for (int i = 0; i < Mask.Length; i++) Assert.Equal(i >= Time, Row(before, i).SequenceEqual(Row(after, i)));
    }

    [Theory]
    [InlineData(ActivationCheckpointing.None)]
    [InlineData(ActivationCheckpointing.Block)]
    public void LossAndEveryGradient_EqualTheReferenceAndItsFiniteDifferences(ActivationCheckpointing checkpointing)
    {
        using var run = new TrainingRun(Model.Config, Shape, step: new StepSettings { Checkpointing = checkpointing });
        run.Load(Model);
        run.See(Mask);
        float scale = 1f / Labels.Count(label => label >= 0);

        float loss = run.Step(Ids, Labels, scale);

        Closeness.AssertClose([loss], [(float)(scale * Loss())], Arithmetic, "loss");
        var random = new Random(3);
        foreach (var p in run.Graphs.Parameters)
        {
            int[] elements = [.. Enumerable.Range(0, 6).Select(_ => random.Next((int)p.Count))];
            float[] expected = [.. elements.Select(i => (float)(scale * Difference(p.Name, i)))], all = run[p.GradientBuffer].ToArray();

            // The sign of a tensor's scale is its largest element, which need not be among those that were drawn.
            double largest = Math.Max(1e-3, all.Max(Math.Abs));
            foreach (var (i, value) in elements.Zip(expected)) Assert.True(Math.Abs(all[i] - value) <= Arithmetic * largest, $"{p.Name}[{i}]: {all[i]}, by differences {value}, largest {largest}");
        }
    }

    [Fact]
    public void TokenLosses_OfEvaluation_SumToTheReferencesLoss()
    {
        using var run = new TrainingRun(Model.Config, Shape);
        run.Load(Model);
        run.See(Mask);
        float[] losses = run.TokenLosses(Ids, Labels);
        Closeness.AssertClose([losses.Sum()], [(float)Loss()], Arithmetic, "loss");
        Assert.All(Labels.Zip(losses).Where(p => p.First < 0), p => Assert.Equal(0, p.Second));
    }

    /// <summary>A batch is filled up with rows of padding alone: they must not make anything else a NaN.</summary>
    [Fact]
    public void RowOfPaddingAlone_ChangesNoGradient()
    {
        float[][] Gradients(long[] ids, long[] labels, long[] mask, int rows)
        {
            using var run = new TrainingRun(Model.Config, new(rows, Time));
            run.Load(Model);
            run.See(mask);
            run.Step(ids, labels, 0.1f);
            return [.. run.Graphs.Parameters.Select(p => run[p.GradientBuffer].ToArray())];
        }

        float[][] alone = Gradients(Part(Ids, 0), Part(Labels, 0), Part(Mask, 0), 1);
        float[][] filled = Gradients([.. Part(Ids, 0), .. new long[Time]], [.. Part(Labels, 0), .. Enumerable.Repeat(-100L, Time)], [.. Part(Mask, 0), .. new long[Time]], 2);
        foreach (var (a, b) in alone.Zip(filled)) Closeness.AssertClose(b, a, Arithmetic, "gradient");
    }

    [Fact]
    public void Flops_CountTheWholeSquareOfAttention()
    {
        var config = Model.Config;
        long matrices = config.Layers * (4L * config.Width * config.Width + 2L * config.Width * config.FeedForward) + config.Width * config.Width + (long)config.Width * config.VocabularySize;
        double expected = 3 * (2.0 * matrices + 4.0 * config.Layers * config.Width * Time);
        Assert.Equal(expected, FlopCount.PerToken(TrainingGraphs.LogitsGraph(config, Shape), Shape.Rows), expected * 1e-12);
    }

    [Fact]
    public void MaskOfAnotherShape_IsRefused()
    {
        var g = new GraphBuilder();
        var q = g.Input("q", ElementType.Float, [2, 3, 4]);
        var error = Assert.Throws<GraphException>(() => g.MaskedAttention(q, q, q, g.Input("mask", ElementType.Int64, [2, 4]), heads: 2));
        Assert.Contains("mask [2, 4]", error.Message, StringComparison.Ordinal);
    }

    private static ReferenceEncoder Reference() => new(Model.Config, Weight);

    private static double[] Weight(string name) => [.. Model.Weight(name).Select(x => (double)x)];

    private static double Loss() => Loss(Reference());

    private static double Loss(ReferenceEncoder reference) => Enumerable.Range(0, Batch).Sum(row => reference.Loss(Part(Ids, row), Part(Labels, row), Part(Mask, row)));

    /// <summary>Central difference of the loss by one element of a parameter.</summary>
    private static double Difference(string parameter, int element)
    {
        const double Step = 1e-5;
        double At(double shift)
        {
            double[] moved = Weight(parameter);
            moved[element] += shift;
            return Loss(new(Model.Config, name => name == parameter ? moved : Weight(name)));
        }
        return (At(Step) - At(-Step)) / (2 * Step);
    }

    private static long[] Part(long[] all, int row) => all[(row * Time)..((row + 1) * Time)];

    private static float[] Row(float[] logits, int token) => logits[(token * Model.Config.VocabularySize)..((token + 1) * Model.Config.VocabularySize)];

    private static long[] Drawn(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, Batch * Time).Select(_ => (long)random.Next(Model.Config.VocabularySize))];
    }
}
