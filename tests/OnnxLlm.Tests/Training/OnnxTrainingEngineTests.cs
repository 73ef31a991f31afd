using OnnxLlm.Graphs.Training;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

public class OnnxTrainingEngineTests
{
    /// <summary>Four sequences of which one is short and one is blank: micro-batches with unequal numbers of valid tokens.</summary>
    private static readonly TokenWindows Unequal = TinyTraining.Windows(TinyTraining.Tokens(2 * TinyTraining.Time + 6));

    [Fact]
    public void FirstLoss_OfFreshWeights_IsThatOfAUniformGuess()
    {
        using var engine = TinyTraining.Engine(rows: 4);

        Assert.Equal(1, Whole(engine, rows: 4) / Math.Log(TinyTraining.Vocabulary), tolerance: 0.02);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void MicroBatches_OfUnequalValidTokens_AddUpToTheWholeBatch(int rows)
    {
        using var whole = TinyTraining.Engine(rows: 4);
        using var parts = TinyTraining.Engine(rows);

        var (expectedLoss, loss) = (Whole(whole, 4), Whole(parts, rows));
        var (expected, gradient) = (Gradient(whole), Gradient(parts));

        // float32 sums in another order: the rounding of a few hundred terms, relative to the whole.
        Assert.Equal(1, loss / expectedLoss, tolerance: 1e-6);
        Assert.InRange(TinyTraining.Norm(expected.Zip(gradient, (a, b) => a - b)) / TinyTraining.Norm(expected), 0, 1e-6);
    }

    [Fact]
    public void Accumulate_WithReset_ForgetsWhatWasSummedBefore()
    {
        using var engine = TinyTraining.Engine(rows: 4);
        Whole(engine, 4);
        var once = Gradient(engine);

        Whole(engine, 4);

        Assert.Equal(once, Gradient(engine));
    }

    [Fact]
    public void Update_WithALargeGradient_ClipsItAndReportsTheFullNorm()
    {
        const float clip = 0.125f;
        using var engine = TinyTraining.Engine(rows: 4, new OptimizerSettings { Kind = OptimizerKind.Sgd, WeightDecay = 0, ClipNorm = clip });
        Whole(engine, 4);
        var full = TinyTraining.Norm(Gradient(engine));
        foreach (var p in TinyTraining.Parameters) engine.Tensors[p.Name].Span<float>().Clear();

        var reported = engine.Update(learningRate: 1, update: 1);        // from zero: the weights are now minus the clipped gradient

        Assert.True(full > clip);
        Assert.Equal(1, reported / full, tolerance: 1e-6);
        Assert.InRange(TinyTraining.Norm(Weights(engine)) / clip, 1 - 1e-5, 1 + 1e-6);       // the divisor is norm + 1e-6
    }

    [Fact]
    public void Update_WithAGradientThatIsNotFinite_ChangesNothing()
    {
        using var engine = TinyTraining.Engine(rows: 4);
        Whole(engine, 4);
        engine.Update(1e-3, 1);
        var (weights, moments) = (Weights(engine), Moments(engine));
        Whole(engine, 4);
        engine.Tensors[TinyTraining.Parameters[0].GradientBuffer].Span<float>()[3] = float.PositiveInfinity;

        Assert.False(float.IsFinite(engine.Update(1e-3, 2)));
        Assert.Equal(weights, Weights(engine));
        Assert.Equal(moments, Moments(engine));
    }

    [Fact]
    public void Evaluate_GivesTheLossesThatTheStepSums()
    {
        using var engine = TinyTraining.Engine(rows: 4);
        var batch = Batch(0, 4);

        var losses = engine.Evaluate(batch).ToArray();

        Assert.Equal(1, losses.Sum(l => (double)l) / batch.ValidTokens / Whole(engine, 4), tolerance: 1e-6);
        Assert.All(losses.Zip(batch.Labels).Where(x => x.Second == BatchRow.Ignored), x => Assert.Equal(0, x.First));
    }

    [Fact]
    public void Tensors_SavedAndLoaded_ContinueWithTheSameBits()
    {
        var folder = Directory.CreateTempSubdirectory("tensors-");
        using var engine = TinyTraining.Engine(rows: 4);
        using var other = TinyTraining.Engine(rows: 4, seed: 2);
        Whole(engine, 4);
        engine.Update(1e-2, 1);

        engine.Tensors.Save(folder.FullName);
        other.Tensors.Load(folder.FullName);

        Assert.Equal(Whole(engine, 4), Whole(other, 4));
        Assert.Equal(engine.Update(1e-2, 2), other.Update(1e-2, 2));
        Assert.Equal(Weights(engine), Weights(other));
        folder.Delete(recursive: true);
    }

    /// <summary>Sixty-four sequences with distinct first tokens, so that every next token is determined by those before it.</summary>
    [Fact]
    public void Training_OnSixtyFourSequences_LearnsThemByHeart()
    {
        var random = new Random(5);
        var tokens = Enumerable.Range(0, 64 * TinyTraining.Time + 1).Select(i => i % TinyTraining.Time == 0 ? i / TinyTraining.Time % 64 : random.Next(TinyTraining.Vocabulary)).ToArray();
        var windows = TinyTraining.Windows(tokens);
        var batch = TokenDataset.Pack(windows, 64, row => (row, row));
        using var engine = TinyTraining.Engine(rows: 64, new OptimizerSettings { WeightDecay = 0 });

        var loss = double.PositiveInfinity;
        for (var step = 1; step <= 600 && loss >= 0.05; step++)
        {
            loss = engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens);
            engine.Update(1e-2, step);
        }

        Assert.InRange(loss, 0, 0.05);
    }

    /// <summary>The loss of the four sequences, taken <paramref name="rows"/> at a time.</summary>
    private static double Whole(OnnxTrainingEngine engine, int rows)
    {
        var batches = Enumerable.Range(0, 4 / rows).Select(i => Batch(i * rows, rows)).ToList();
        var scale = 1f / batches.Sum(b => b.ValidTokens);
        return batches.Index().Sum(b => (double)engine.Accumulate(b.Item, reset: b.Index == 0, scale));
    }

    private static MicroBatch Batch(int first, int rows) =>
        TokenDataset.Pack(Unequal, rows, row => first + row < Unequal.Count ? (first + row, row) : null);

    private static float[] Gradient(OnnxTrainingEngine engine) => TinyTraining.Flat(engine, p => p.GradientBuffer);

    private static float[] Weights(OnnxTrainingEngine engine) => TinyTraining.Flat(engine, p => p.Name);

    private static float[] Moments(OnnxTrainingEngine engine) =>
        [.. TinyTraining.Flat(engine, p => p.FirstMoment), .. TinyTraining.Flat(engine, p => p.SecondMoment)];
}
