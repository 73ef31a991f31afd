using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// The graphs written for the CUDA provider are plain ONNX, so the CPU runs them too: what they compute must be what the functions compute.
/// </summary>
public sealed class CudaGraphTests
{
    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    public static TheoryData<string, ActivationCheckpointing> Models => new()
    {
        { "gpt2-tiny", ActivationCheckpointing.None },
        { "llama-tiny", ActivationCheckpointing.None },
        { "qwen2-tiny", ActivationCheckpointing.Selective },
        { "gpt2-tiny", ActivationCheckpointing.Block },
    };

    /// <summary>Both compute in float32, in another order: sums of up to a few hundred terms differ by some 2^-24·√n of their terms' size, and some hundred operators follow each other.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void Step_GivesTheLossAndGradientsOfTheFunctions(string name, ActivationCheckpointing checkpointing)
    {
        using var model = new RecordedModel(name);
        using var functions = new TrainingRun(model.Config, Shape);
        using var cuda = new TrainingRun(model.Config, Shape, step: new StepSettings { Target = GraphTarget.Cuda, Checkpointing = checkpointing });
        Compare(model, functions, cuda, 2e-5);
    }

    /// <summary>Relative to the largest gradient of a tensor: bfloat16 is off by 2^-9 of a value at each rounding, float16 by 2^-12; some sixty follow each other in two layers.</summary>
    [Theory]
    [InlineData("gpt2-tiny", Precision.Bf16, 0.1)]
    [InlineData("llama-tiny", Precision.Bf16, 0.1)]
    [InlineData("llama-tiny", Precision.Fp16, 0.015)]
    public void Step_With16BitActivations_DiffersByRounding(string name, Precision precision, double tolerance)
    {
        using var model = new RecordedModel(name);
        using var single = new TrainingRun(model.Config, Shape);
        using var mixed = new TrainingRun(model.Config, Shape, step: new StepSettings { Target = GraphTarget.Cuda, Precision = precision, Rounded = true });
        Compare(model, single, mixed, tolerance);
    }

    /// <summary>Everything that the provider computes wrongly in 16 bits, or not at all, is in float32.</summary>
    [Theory]
    [InlineData("gpt2-tiny", Precision.Bf16)]
    [InlineData("llama-tiny", Precision.Fp16)]
    [InlineData("qwen2-tiny", Precision.Bf16)]
    public void Step_In16Bits_KeepsLossNormsAndEmbeddingGradientsInFloat32(string name, Precision precision)
    {
        using var model = new RecordedModel(name);
        var graph = TrainingGraphs.Create(model.Config, Shape, new(), new StepSettings { Target = GraphTarget.Cuda, Precision = precision }).Step;
        var type = MixedPrecision.TypeOf(precision);

        Assert.Empty(graph.Functions);
        string[] narrow = [.. graph.Nodes.Where(n => n.Inputs.Concat(n.Outputs).Any(v => v?.Type == type)).Select(n => n.Op).Distinct().Order(StringComparer.Ordinal)];
        Assert.Empty(narrow.Intersect(["LayerNormalization", "SimplifiedLayerNormalization", "ScatterND", "ScatterElements", "LogSoftmax", "GatherElements", "Log", "Reciprocal", "Clip", "ReduceMean"]));
        Assert.Contains("Attention", narrow);
        Assert.Contains("FusedMatMul", narrow);
        Assert.All(graph.Nodes.Where(n => n.Op is "Attention" or "FusedMatMul" or "Gemm"), n => Assert.All(n.Outputs, y => Assert.Equal(type, y.Type)));
    }

    /// <summary>Long enough for several blocks of queries.</summary>
    [Theory]
    [InlineData(4, 4, 640, 4)]
    [InlineData(4, 2, 640, 4)]
    [InlineData(4, 4, 521, 3)]
    [InlineData(4, 2, 521, 3)]
    public void Attention_OverSeveralBlocks_EqualsItsDefinition(int heads, int groups, int time, int blocks)
    {
        Assert.Equal(blocks, CudaAttention.Cuts(time).Blocks);
        var config = new ModelConfig
        {
            Family = ModelFamily.Llama,
            VocabularySize = 11,
            MaxPositions = time,
            Width = 4 * heads,
            Layers = 1,
            Heads = heads,
            KeyValueHeads = groups,
            FeedForward = 8,
        };
        var shape = new TrainingShape(1, time);
        using var functions = new TrainingRun(config, shape);
        using var cuda = new TrainingRun(config, shape, step: new StepSettings { Target = GraphTarget.Cuda });
        var initializer = new Initializer(config with { InitializerRange = 0.5 }, 7);
        functions.Initialize(initializer);
        cuda.Initialize(initializer);
        long[] ids = [.. Enumerable.Range(0, time).Select(i => i * 5L % 11)], labels = [.. Enumerable.Range(0, time).Select(i => i * 3L % 11)];

        Closeness.AssertClose([cuda.Step(ids, labels, 1f / time)], [functions.Step(ids, labels, 1f / time)], 1e-6, "loss");

        Assert.All(cuda.Graphs.Step.Nodes, n => Assert.All(n.Outputs, y => Assert.True(y.Rank < 2 || y.Shape[y.Rank - 1].Value < time || y.Shape[y.Rank - 2].Value < time, $"{n} is T × T")));
        foreach (var p in cuda.Graphs.Parameters) Closeness.AssertClose(cuda[p.GradientBuffer], functions[p.GradientBuffer], 1e-4, p.Name);
    }

    /// <summary>Equal, as few as are of 256 queries at most, and never one where that would be T × T. 1021 is a prime.</summary>
    [Theory]
    [InlineData(8, 8, 1)]
    [InlineData(1024, 1024, 4)]
    [InlineData(8192, 8192, 32)]
    [InlineData(16384, 16384, 32)]
    [InlineData(10000, 10016, 32)]
    [InlineData(1000, 1000, 4)]
    [InlineData(1021, 1024, 4)]
    [InlineData(1018, 1020, 4)]
    public void Cuts_AreEqualAndFew(long time, long longer, long blocks) => Assert.Equal((longer, blocks), CudaAttention.Cuts(time));

    /// <summary>Every node on a whole tensor is a pass over memory.</summary>
    [Theory]
    [InlineData("gpt2-tiny", "GeluGrad", 11)]
    [InlineData("llama-tiny", "SwiGluGrad", 8)]
    public void Gradient_OfAnActivation_TakesFewPasses(string name, string function, int passes)
    {
        using var model = new RecordedModel(name);
        var graphs = TrainingGraphs.Create(model.Config, Shape, new(), new StepSettings { Target = GraphTarget.Cuda });
        Assert.Equal(passes * model.Config.Layers, Passes(graphs.Step, function));
    }

    /// <summary>Two groups of parameters: with decay and without.</summary>
    [Fact]
    public void Update_TakesFourteenPasses()
    {
        using var model = new RecordedModel("gpt2-tiny");
        var graphs = TrainingGraphs.Create(model.Config, Shape, new(), new StepSettings { Target = GraphTarget.Cuda });
        Assert.Equal(2 * 14, Passes(graphs.Optimizer, "AdamW"));
    }

    private static int Passes(Graph graph, string function) => graph.Nodes.Count(n => n.Scope.Split('/').Contains(function) && n.Output.Rank > 0);

    private static void Compare(RecordedModel model, TrainingRun expected, TrainingRun actual, double tolerance)
    {
        expected.Load(model);
        actual.Load(model);
        for (int round = 0; round < 2; round++)      // the second adds to the first
            Closeness.AssertClose(
                [actual.Step(model.InputIds, model.Labels, model.LossScale, reset: round == 0)],
                [expected.Step(model.InputIds, model.Labels, model.LossScale, reset: round == 0)], tolerance, "loss");
        foreach (var p in expected.Graphs.Parameters) Closeness.AssertClose(actual[p.GradientBuffer], expected[p.GradientBuffer], tolerance, p.Name);
        Closeness.AssertClose(actual.TokenLosses(model.InputIds, model.Labels), expected.TokenLosses(model.InputIds, model.Labels), tolerance, "token losses");
    }
}
