using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

/// <summary>The engine with the graphs written for CUDA, here on the CPU: one optimizer graph over flat tensors, of which the parameters are views.</summary>
public sealed class CudaTargetTests : IDisposable
{
    private const int Steps = 10, Rows = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("cuda-target-").FullName;
    private readonly TokenDataset _data = new(
        TinyTraining.Windows(TinyTraining.Tokens(3000)), new EpochOrder(TinyTraining.Windows(TinyTraining.Tokens(3000)).Count, 1), Rows, Rows);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// Both compute in float32 in another order, 1e-6 of the weights after the first update where a second moment is tiny, and ten updates let it grow.
    /// </summary>
    [Theory]
    [InlineData(OptimizerKind.AdamW, 1f)]
    [InlineData(OptimizerKind.Momentum, 1f)]
    [InlineData(OptimizerKind.AdamW, 0.9f)]
    [InlineData(OptimizerKind.Muon, 1f)]
    public void Training_ReachesTheWeightsOfTheFunctions(OptimizerKind kind, float layerDecay)
    {
        var optimizer = new OptimizerSettings { Kind = kind, LayerDecay = layerDecay, ClipNorm = 0.5f };
        using var functions = Engine(GraphTarget.Kernels, optimizer);
        using var cuda = Engine(GraphTarget.Cuda, optimizer);

        Train(functions, 0, Steps);
        Train(cuda, 0, Steps);

        foreach (var p in TinyTraining.Parameters) Closeness.AssertClose(cuda.Tensors[p.Name].Span<float>(), functions.Tensors[p.Name].Span<float>(), 1e-3, p.Name);
    }

    [Fact]
    public void Checkpoint_OfFlatTensors_IsThatOfTheParameters_AndGoesOnBitForBit()
    {
        using var straight = Engine(GraphTarget.Cuda, new());
        Train(straight, 0, 4);
        straight.Save(_folder);
        Train(straight, 4, 4);

        using var resumed = Engine(GraphTarget.Cuda, new());
        resumed.Load(_folder);
        Train(resumed, 4, 4);

        foreach (var p in TinyTraining.Parameters) Assert.Equal(straight.Tensors[p.Name].Span<float>().ToArray(), resumed.Tensors[p.Name].Span<float>().ToArray());
        using var functions = Engine(GraphTarget.Kernels, new());
        functions.Load(_folder);      // the same file serves both
        using var moments = Safetensors.Open(Path.Combine(_folder, "optimizer.safetensors"));
        Assert.Equal(2 * TinyTraining.Parameters.Count, moments.Entries.Length);
    }

    /// <summary>As the functions have it: an overflow costs a step, and nothing else.</summary>
    [Fact]
    public void Update_ByGradientsThatAreNotFinite_ChangesNothing()
    {
        using var engine = Engine(GraphTarget.Cuda, new());
        Train(engine, 0, 2);
        engine.Save(Directory.CreateDirectory(Path.Combine(_folder, "before")).FullName);
        var batch = _data.MicroBatch(0);
        engine.Accumulate(batch, reset: true, float.PositiveInfinity);
        Assert.False(float.IsFinite(engine.Update(1e-2, 3)));
        engine.Save(Directory.CreateDirectory(Path.Combine(_folder, "after")).FullName);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(_folder, "before")))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(_folder, "after", Path.GetFileName(file))));
    }

    [Fact]
    public void Flat_TakesWhatIsUpdatedAlikeTogether()
    {
        var graphs = Graphs(GraphTarget.Cuda, new());
        Assert.Equal(["flat.decayed", "flat.plain"], graphs.Groups.Select(g => g.Whole.Name));
        Assert.Equal(TinyTraining.Parameters.Select(p => p.Name).Order(), graphs.Groups.SelectMany(g => g.Members).Select(m => m.Parameter.Name).Order());
        Assert.All(graphs.Groups.SelectMany(g => g.Members), m => Assert.Equal(0, m.Offset * sizeof(float) % 256));
        Assert.All(graphs.Groups, g => Assert.All(g.Members.Zip(g.Members.Skip(1)), pair => Assert.True(pair.First.Offset + pair.First.Parameter.Count <= pair.Second.Offset)));
    }

    private void Train(OnnxTrainingEngine engine, long from, int steps)
    {
        for (long step = from; step < from + steps; step++)
        {
            var batch = _data.MicroBatch(step * Rows);
            engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens);
            engine.Update(1e-2, step + 1);
        }
    }

    private static TrainingGraphs Graphs(GraphTarget target, OptimizerSettings optimizer) =>
        TrainingGraphs.Create(TinyTraining.Model, new(Rows, TinyTraining.Time), optimizer, new StepSettings { Target = target });

    private static OnnxTrainingEngine Engine(GraphTarget target, OptimizerSettings optimizer)
    {
        var engine = new OnnxTrainingEngine(Graphs(target, optimizer), new(Rows, TinyTraining.Time), new SessionSettings { Threads = 1 });
        engine.Tensors.Initialize(new(TinyTraining.Model, 1));
        return engine;
    }
}
