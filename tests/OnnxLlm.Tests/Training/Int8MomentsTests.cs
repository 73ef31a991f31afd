using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Memory;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

/// <summary>AdamW with moments of 8 bits in the engine: what is kept, and what is learnt.</summary>
public sealed class Int8MomentsTests : IDisposable
{
    private static readonly OptimizerSettings Quantized = new() { Moments = Moments.Int8 };

    private readonly string _folder = Directory.CreateTempSubdirectory("int8-moments-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Checkpoint_HoldsCodesAndScalesOfMatrices_AndFloatsOfGains()
    {
        using var engine = TinyTraining.Engine(4, Quantized);
        Train(engine, 4);
        engine.Save(_folder);
        using var file = Safetensors.Open(Path.Combine(_folder, "optimizer.safetensors"));
        foreach (var p in TinyTraining.Parameters)
        {
            bool matrix = p.Shape.Length == 2;
            foreach (var (moment, scale) in new[] { (p.FirstMoment, p.FirstScale), (p.SecondMoment, p.SecondScale) })
            {
                Assert.Equal(matrix ? ElementType.Int8 : ElementType.Float, file[moment].Type);
                Assert.Equal(p.Shape.ToArray(), file[moment].Shape.ToArray());
                Assert.Equal(matrix, file.Contains(scale));
                if (matrix) Assert.Equal([p.Count / QuantizedAdamW.Block], file[scale].Shape.ToArray());
            }
        }
    }

    /// <summary>What the matrices' moments take is a little more than a quarter, and the plan of memory knows it.</summary>
    [Fact]
    public void State_TakesTwoBytesAndTwoScalesOfABlock()
    {
        long matrices = TinyTraining.Parameters.Where(p => p.Decay).Sum(p => p.Count), gains = TinyTraining.Parameters.Where(p => !p.Decay).Sum(p => p.Count);
        long bytes = MemoryPlan.Of(TrainingGraphs.Create(TinyTraining.Model, new(4, TinyTraining.Time), Quantized)).Items.Single(item => item.Name == "optimizer state").Bytes;
        Assert.Equal(2 * matrices + 2 * sizeof(float) * (matrices / QuantizedAdamW.Block + gains), bytes);
    }

    /// <summary>Where a matrix does not divide into blocks its moments stay floats, and everything trains.</summary>
    [Fact]
    public void OddMatrices_KeepFloats()
    {
        var model = TinyTraining.Model with { VocabularySize = 65, Width = 24, FeedForward = 40 };
        var optimizer = TrainingGraphs.Create(model, new(1, 8), Quantized).Optimizer;
        var odd = TrainingGraphs.Create(model, new(1, 8), Quantized).Trainable.Where(p => p.Decay && p.Count % QuantizedAdamW.Block != 0).ToArray();
        Assert.NotEmpty(odd);
        Assert.All(odd, p => Assert.Equal(ElementType.Float, optimizer.Inputs.Single(input => input.Name == p.FirstMoment).Type));
        Assert.Contains(optimizer.Inputs, input => input.Type == ElementType.Int8);
    }

    /// <summary>
    /// Two trainings from the same weights on the same batches, which end much lower than they began. Codes of 8 bits make another training of it, so the end is compared, of a mean of batches: their losses scatter by 0.1.
    /// </summary>
    [Fact]
    public void Training_EndsWhereFloatsEnd()
    {
        using var floats = TinyTraining.Engine(4);
        using var codes = TinyTraining.Engine(4, Quantized);
        float[] expected = Train(floats, 200), found = Train(codes, 200);
        Assert.Equal(expected[0], found[0]);
        Assert.InRange(expected[^20..].Average(), 0, expected[0] - 1);
        Assert.Equal(expected[^20..].Average(), found[^20..].Average(), 0.1);
        Assert.NotEqual(expected[^1], found[^1]);
    }

    private static float[] Train(OnnxTrainingEngine engine, int steps)
    {
        var windows = TinyTraining.Windows(TinyTraining.Tokens(3000));
        var losses = new float[steps];
        for (int step = 0; step < steps; step++)
        {
            var batch = TokenDataset.Pack(windows, 4, row => (((4 * step) + row) % windows.Count, row));
            losses[step] = engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens);
            engine.Update(1e-2, step + 1);
        }
        return losses;
    }
}
