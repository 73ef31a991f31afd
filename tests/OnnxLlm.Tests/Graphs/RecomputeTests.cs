using System.Text.Json;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>Activation checkpointing changes what is kept, and nothing else.</summary>
public sealed class RecomputeTests
{
    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    public static TheoryData<string, ActivationCheckpointing> Cases
    {
        get
        {
            var cases = new TheoryData<string, ActivationCheckpointing>();
            foreach (string name in (string[])["gpt2-tiny", "llama-tiny", "qwen2-tiny"])
                foreach (var kind in (ActivationCheckpointing[])[ActivationCheckpointing.Selective, ActivationCheckpointing.Block]) cases.Add(name, kind);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_AreBitIdentical(string name, ActivationCheckpointing kind)
    {
        var (loss, gradients) = Gradients(name, ActivationCheckpointing.None);
        var (recomputedLoss, recomputed) = Gradients(name, kind);
        Assert.Equal(loss, recomputedLoss);
        foreach (var (parameter, bits) in gradients) Assert.True(bits.AsSpan().SequenceEqual(recomputed[parameter]), parameter);
    }

    /// <summary>The runtime merges equal computations; what it executes shows whether it did. What an activation or, alone, a norm gave comes from its gradient.</summary>
    [Theory]
    [InlineData(ActivationCheckpointing.None, 1, 1)]
    [InlineData(ActivationCheckpointing.Selective, 1, 1)]
    [InlineData(ActivationCheckpointing.Block, 2, 2)]
    public void Runtime_ExecutesTheBlocksAgain(ActivationCheckpointing kind, int attention, int norm)
    {
        using var model = new RecordedModel("gpt2-tiny");
        var executed = Executed(StepGraph(model, kind), kernels: true);
        int layers = model.Config.Layers;
        Assert.Equal((attention * layers, layers, norm * 2 * layers + 1), (executed["PackedAttention"], executed["Gelu"], executed["LayerNorm"]));
    }

    /// <summary>Without our kernels, the functions' bodies are merged no more than the functions.</summary>
    [Fact]
    public void Runtime_WithoutKernels_ExecutesTheBlocksAgain()
    {
        using var model = new RecordedModel("gpt2-tiny");
        int once = Executed(StepGraph(model, ActivationCheckpointing.None), kernels: false)["LogSoftmax"];
        int twice = Executed(StepGraph(model, ActivationCheckpointing.Block), kernels: false)["LogSoftmax"];
        Assert.Equal(once + model.Config.Layers, twice);
    }

    [Fact]
    public void Block_KeepsOnlyItsInput()
    {
        using var model = new RecordedModel("llama-tiny");
        var graph = StepGraph(model, ActivationCheckpointing.Block);
        var order = graph.Nodes.Select((n, i) => (n, i)).ToDictionary(p => p.n, p => p.i);
        int forwardEnds = order[graph.Nodes.Single(n => n.Op == "LinearCrossEntropy")];
        var kept = graph.Nodes.Where(n => order[n] > forwardEnds).SelectMany(n => n.Inputs).OfType<Value>()
            .Where(v => v.Producer is { } p && order[p] < forwardEnds && p.Scope.Length > 0).Distinct();

        // The output of each block but the last is the input of the next; the last one's goes into the last norm.
        Assert.Equal(model.Config.Layers, kept.Count());
        Assert.All(kept, v => Assert.Equal("Add", v.Producer!.Op));
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Gradients(string name, ActivationCheckpointing kind)
    {
        using var model = new RecordedModel(name);
        using var run = new TrainingRun(model.Config, Shape, step: new StepSettings { Checkpointing = kind });
        run.Load(model);
        float loss = run.Step(model.InputIds, model.Labels, model.LossScale);
        return (loss, run.Graphs.Parameters.ToDictionary(p => p.Name, p => run[p.GradientBuffer].ToArray()));
    }

    private static Graph StepGraph(RecordedModel model, ActivationCheckpointing kind) =>
        TrainingGraphs.Create(model.Config, Shape, new(), new StepSettings { Checkpointing = kind }).Step;

    /// <summary>How often the runtime ran each operator, from its profile.</summary>
    private static Dictionary<string, int> Executed(Graph graph, bool kernels)
    {
        using var folder = new Text.TemporaryFolder();
        using var session = new OrtSession(OnnxFile.ToBytes(graph), new SessionSettings { Threads = 1, Kernels = kernels, ProfilePrefix = Path.Combine(folder.Path, "profile") });
        var inputs = session.Inputs.ToDictionary(i => i.Name, i => TensorBuffer.Zeros(i.Type, i.Shape.AsSpan()));
        foreach (var output in session.Run(inputs).Values) output.Dispose();
        foreach (var input in inputs.Values) input.Dispose();
        using var profile = JsonDocument.Parse(File.ReadAllText(session.EndProfiling()));
        return profile.RootElement.EnumerateArray()
            .Where(e => e.TryGetProperty("name", out var name) && name.GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal))
            .CountBy(e => e.GetProperty("args").GetProperty("op_name").GetString()!).ToDictionary();
    }
}
