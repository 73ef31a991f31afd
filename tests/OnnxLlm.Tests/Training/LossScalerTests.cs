using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

public sealed class LossScalerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("scaler-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Overflow_HalvesTheScale_AndStartsTheCountAnew()
    {
        var scaler = new LossScaler(new() { Initial = 8, GrowthInterval = 3 });
        Observe(scaler, true, true, false, true, true);
        Assert.Equal(4, scaler.Scale);
        Observe(scaler, true);
        Assert.Equal(8, scaler.Scale);
    }

    [Fact]
    public void Overflow_AtTheSmallestScale_IsNoneOfTheScales()
    {
        var scaler = new LossScaler(new() { Initial = 2 });
        Observe(scaler, false);
        Assert.True(scaler.Overflowed);
        Observe(scaler, false);
        Assert.False(scaler.Overflowed);
        Assert.Equal(1, scaler.Scale);
    }

    [Fact]
    public void State_Saved_GoesOnWhereItWas()
    {
        var scaler = new LossScaler(new() { Initial = 8, GrowthInterval = 3 });
        Observe(scaler, false, true, true);
        scaler.Save(_folder);
        var loaded = new LossScaler(new() { Initial = 8, GrowthInterval = 3 });
        loaded.Load(_folder);
        Assert.Equal(4, loaded.Scale);
        Observe(loaded, true);
        Assert.Equal(8, loaded.Scale);
    }

    /// <summary>A scale that lifts the gradient of the logits beyond 65504, the largest float16.</summary>
    [Fact]
    public void ForcedOverflow_UpdatesNothing_UntilTheScaleFits()
    {
        using var engine = Engine(initial: 1 << 30);
        var weights = TinyTraining.Flat(engine, p => p.Name);
        var ids = TinyTraining.Tokens(2 * (TinyTraining.Time + 1));
        var batch = new MicroBatch([.. ids[..32].Select(i => (long)i)], [.. ids[1..33].Select(i => (long)i)], 32);
        int overflows = 0;
        for (; !float.IsFinite(Step()); overflows++)
        {
            Assert.Equal(weights, TinyTraining.Flat(engine, p => p.Name));
            Assert.True(engine.Scaler!.Overflowed);
            Assert.Equal(1 << (29 - overflows), engine.Scaler.Scale);
        }
        Assert.InRange(overflows, 1, 20);
        Assert.NotEqual(weights, TinyTraining.Flat(engine, p => p.Name));

        float Step()
        {
            Assert.InRange(engine.Accumulate(batch, reset: true, 1f / 32), 3.5, 5);
            return engine.Update(1e-3, 1);
        }
    }

    private static OnnxTrainingEngine Engine(float initial)
    {
        var shape = new TrainingShape(2, TinyTraining.Time);
        var graphs = TrainingGraphs.Create(TinyTraining.Model, shape, new(), new StepSettings { Precision = Precision.Fp16, Rounded = true });
        var engine = new OnnxTrainingEngine(graphs, shape, new SessionSettings { Threads = 1 }) { Scaler = new LossScaler(new() { Initial = initial }) };
        engine.Tensors.Initialize(new Initializer(TinyTraining.Model, 1));
        return engine;
    }

    private static void Observe(LossScaler scaler, params bool[] finite)
    {
        foreach (bool update in finite) scaler.Observe(update);
    }
}
