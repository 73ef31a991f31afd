using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

/// <summary>An optimizer state that lies in a mapped file, and an optimizer that runs in parts: nothing of it may change a bit.</summary>
public sealed class OffloadTests : IDisposable
{
    private const int Updates = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("offload-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string StateFile => Path.Combine(_folder, "state.safetensors");

    public static TheoryData<OptimizerKind, Moments, long, bool> Cases
    {
        get
        {
            var cases = new TheoryData<OptimizerKind, Moments, long, bool>();
            (OptimizerKind, Moments)[] optimizers = [.. Enum.GetValues<OptimizerKind>().Select(kind => (kind, Moments.Fp32)), (OptimizerKind.AdamW, Moments.Int8), (OptimizerKind.Muon, Moments.Int8)];
            foreach (var (kind, moments) in optimizers)
                foreach (long bytes in new[] { 1, 20_000, long.MaxValue }) cases.Add(kind, moments, bytes, bytes == 1);
            return cases;
        }
    }

    /// <summary>One part per parameter, a few, and one for all; with a loss scale in the first.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Update_InParts_GivesTheSameBits(OptimizerKind kind, Moments moments, long partBytes, bool fp16)
    {
        var setup = new TrainingSetup
        {
            Model = TinyTraining.Model,
            Shape = new(2, TinyTraining.Time),
            Optimizer = new() { Kind = kind, Moments = moments, LayerDecay = 0.5f, ClipNorm = 0.5f },
            Step = new() { Precision = fp16 ? Precision.Fp16 : Precision.Fp32, Rounded = true },
        };
        using var whole = Engine(setup, null);
        using var parts = Engine(setup, new Offload(OptimizerParts.Of(setup, partBytes), StateFile));
        var (expected, found) = (Train(whole), Train(parts));
        Assert.Equal(expected, found);

        string[] folders = [Path.Combine(_folder, "a"), Path.Combine(_folder, "b")];
        foreach (var (engine, folder) in new[] { whole, parts }.Zip(folders)) engine.Save(Directory.CreateDirectory(folder).FullName);
        foreach (string name in new[] { "model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(folders[0], name)), File.ReadAllBytes(Path.Combine(folders[1], name)));
    }

    [Fact]
    public void Load_FillsTheFile_AndTrainingGoesOnAsBefore()
    {
        var setup = new TrainingSetup { Model = TinyTraining.Model, Shape = new(2, TinyTraining.Time), Optimizer = new() };
        using var first = Engine(setup, null);
        Train(first);
        first.Save(_folder);
        using var second = Engine(setup, new Offload(OptimizerParts.Of(setup, 20_000), StateFile), seed: 2);
        second.Load(_folder);
        Assert.Equal(Train(first), Train(second));
    }

    [Fact]
    public void Parts_HoldConsecutiveParameters_UpToTheLimit()
    {
        var setup = new TrainingSetup { Model = TinyTraining.Model, Shape = new(2, TinyTraining.Time), Optimizer = new() };
        const long most = 20_000;
        var parts = OptimizerParts.Of(setup, most);
        long[] states = [.. parts.Updates.Select(graph => graph.Inputs.Where(v => v.Name!.Contains(".exp_avg", StringComparison.Ordinal)).Sum(v => v.Shape.ElementCount * sizeof(float)))];
        Assert.InRange(states.Length, 3, TinyTraining.Parameters.Count - 1);
        Assert.All(states, bytes => Assert.InRange(bytes, 1, most));
        Assert.Equal(2 * sizeof(float) * ModelParameters.Count(TinyTraining.Model), states.Sum());
    }

    /// <summary>995 MB of state go into some more than 32 pieces of at most 31 MB, since not every one is full; what has less than 4 MB stays one.</summary>
    [Fact]
    public void Parts_AreAboutThirty_OfFourMegabytesOrMore()
    {
        static long[] States(ModelConfig model) => [.. OptimizerParts.Of(new() { Model = model, Shape = new(1, 8), Optimizer = new() }).Updates.Select(graph =>
            graph.Inputs.Where(v => v.Name!.Contains(".exp_avg", StringComparison.Ordinal)).Sum(v => v.Shape.ElementCount * sizeof(float)))];
        long[] large = States(ModelConfig.Preset("gpt2"));
        Assert.InRange(large.Length, 32, 48);
        Assert.All(large, bytes => Assert.InRange(bytes, 1, 8 * 124_439_808 / 32));
        Assert.Equal(8 * 124_439_808, large.Sum());
        Assert.Single(States(TinyTraining.Model));
    }

    /// <summary>Every row is in one block, and the blocks are as large as they may be: one less would not do.</summary>
    [Fact]
    public void LargeMatrices_AreDividedIntoRows_WhereAnUpdateTakesThemElementByElement()
    {
        const long most = 5_000;
        var setup = new TrainingSetup { Model = TinyTraining.Model, Shape = new(2, TinyTraining.Time), Optimizer = new() };
        var divided = OptimizerParts.Of(setup, most).Divided;
        Assert.Equal(TinyTraining.Parameters.Where(p => p.Shape.Length == 2 && 8 * p.Count > most).Select(p => p.Name), divided.Select(group => group.Whole.Name));
        Assert.NotEmpty(divided);
        foreach (var (whole, members) in divided.Select(group => (group.Whole, group.Members)))
        {
            Assert.Equal(members.Select((_, i) => members.Take(i).Sum(m => m.Parameter.Count)), members.Select(m => m.Offset));
            Assert.Equal(whole.Count, members.Sum(m => m.Parameter.Count));
            Assert.All(members, m => Assert.Equal((whole.Shape[1], whole.Decay), (m.Parameter.Shape[1], m.Parameter.Decay)));
            Assert.Equal((8 * whole.Count + most - 1) / most, members.Length);
        }

        var muon = OptimizerParts.Of(setup with { Optimizer = new() { Kind = OptimizerKind.Muon } }, most).Divided;
        Assert.NotEmpty(muon);
        Assert.All(muon, group => Assert.Null(group.Whole.Layer));
    }

    /// <summary>The same arithmetic as a whole: a gradient that is not finite anywhere leaves every part alone.</summary>
    [Fact]
    public void Update_WithAGradientThatIsNotFinite_ChangesNothingInAnyPart()
    {
        var setup = new TrainingSetup { Model = TinyTraining.Model, Shape = new(2, TinyTraining.Time), Optimizer = new() };
        using var engine = Engine(setup, new Offload(OptimizerParts.Of(setup, 1), StateFile));
        Train(engine);
        var weights = TinyTraining.Flat(engine, p => p.Name);
        engine.Tensors[TinyTraining.Parameters[^1].GradientBuffer].Span<float>()[0] = float.NaN;
        Assert.False(float.IsFinite(engine.Update(1e-3, Updates + 1)));
        Assert.Equal(weights, TinyTraining.Flat(engine, p => p.Name));
    }

    /// <summary>Released pages come back with what was written, from the file, whatever they share a page with.</summary>
    [Fact]
    public void MappedTensors_Released_KeepTheirValues()
    {
        float[] Values(int seed) => [.. Enumerable.Range(0, 5000).Select(i => (float)(seed * 10000 + i))];
        using (var tensors = MappedTensors.Create(StateFile, [new("a", ElementType.Float, [5000]), new("b", ElementType.Float, [50, 100])]))
        {
            Assert.Equal(0, tensors["a"].Span<float>()[4999]);
            Values(1).CopyTo(tensors["a"].Span<float>());
            Values(2).CopyTo(tensors["b"].Span<float>());
            using var elsewhere = TensorBuffer.Of(Values(3), 5000);
            tensors.Release([tensors["a"], elsewhere]);
            tensors.Release([tensors["b"]]);
            tensors.Fetch([tensors["b"], elsewhere]);
            Assert.Equal(Values(3), elsewhere.Span<float>().ToArray());
            Assert.Equal(Values(1), tensors["a"].Span<float>().ToArray());
            Assert.Equal(Values(2), tensors["b"].Span<float>().ToArray());
            if (!OperatingSystem.IsWindows())
                using (var file = Safetensors.Open(StateFile)) Assert.Equal(Values(2), MemoryMarshal.Cast<byte, float>(file.Bytes("b")).ToArray());
        }
        Assert.False(File.Exists(StateFile));
    }

    [Fact]
    public void MappedTensors_WithoutRoom_AreRefused()
    {
        if (!OperatingSystem.IsLinux()) return;
        var error = Assert.Throws<ModelRuntimeException>(() => MappedTensors.Create(StateFile, [new("a", ElementType.Float, [1L << 44])]));
        Assert.StartsWith($"Cannot keep ", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(StateFile));
    }

    private static OnnxTrainingEngine Engine(TrainingSetup setup, Offload? offload, long seed = 1)
    {
        var graphs = TrainingGraphs.Create(setup);
        var engine = new OnnxTrainingEngine(graphs, setup.Shape, new SessionSettings { Threads = 1 }, offload: offload)
        {
            Scaler = graphs.HasLossScale ? new LossScaler(new() { Initial = 1024 }) : null,
        };
        engine.Tensors.Initialize(new Initializer(setup.Model, seed));
        return engine;
    }

    private static float[] Train(OnnxTrainingEngine engine)
    {
        var windows = TinyTraining.Windows(TinyTraining.Tokens(3000));
        var losses = new List<float>();
        for (int update = 1; update <= Updates; update++)
        {
            var batch = TokenDataset.Pack(windows, 2, row => ((2 * update) + row, row));
            losses.Add(engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens));
            losses.Add(engine.Update(1e-2, update));
        }
        return [.. losses, .. TinyTraining.Flat(engine, p => p.Name)];
    }
}
