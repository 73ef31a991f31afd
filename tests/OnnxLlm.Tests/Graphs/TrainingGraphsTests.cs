using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

public sealed class TrainingGraphsTests
{
    private static readonly TrainingShape Shape = new(RecordedModel.Batch, RecordedModel.Time);

    public static TheoryData<string, long> PublishedCounts => new()
    {
        { "bert-base", 109_514_298 },    // as BertForMaskedLM, its decoder tied
        { "bert-large", 335_174_458 },
        { "gpt2", 124_439_808 },
        { "gpt2-medium", 354_823_168 },
        { "gpt2-large", 774_030_080 },
        { "gpt2-xl", 1_557_611_200 },
        { "llama-7b", 6_738_415_616 },
        { "llama-13b", 13_015_864_320 },
        { "llama-3-8b", 8_030_261_248 },
        { "tinyllama-1.1b", 1_100_048_384 },
        { "qwen2-0.5b", 494_032_768 },
    };

    [Theory]
    [MemberData(nameof(PublishedCounts))]
    public void Preset_ParameterCount_EqualsThePublishedOne(string preset, long published) =>
        Assert.Equal(published, ModelParameters.Count(ModelConfig.Preset(preset)));

    [Theory]
    [MemberData(nameof(RecordedModel.Names), MemberType = typeof(RecordedModel))]
    public void Graphs_OfOneConfiguration_AreTheSameBytes(string name)
    {
        using var model = new RecordedModel(name);
        var (first, second) = (All(Create(model.Config)), All(Create(model.Config)));
        for (int i = 0; i < first.Length; i++) Assert.True(first[i].AsSpan().SequenceEqual(second[i]));
        Assert.False(first[0].AsSpan().SequenceEqual(All(Create(model.Config with { NormEpsilon = 2e-5 }))[0]));

        static byte[][] All(TrainingGraphs graphs) => [.. new[] { graphs.Step, graphs.Evaluation, graphs.Optimizer }.Select(g => OnnxFile.ToBytes(g))];
    }

    [Theory]
    [MemberData(nameof(RecordedModel.Names), MemberType = typeof(RecordedModel))]
    public void Graphs_UseOnly_StandardOperatorsAndOurFunctions(string name)
    {
        using var model = new RecordedModel(name);
        foreach (var graph in AllOf(Create(model.Config)))
        {
            var domains = graph.Nodes.Concat(graph.Functions.SelectMany(f => f.Define().Nodes)).Select(n => n.Domain).Distinct();
            Assert.Empty(domains.Except(["", Function.Domain]));
        }
    }

    [Theory]
    [MemberData(nameof(RecordedModel.Names), MemberType = typeof(RecordedModel))]
    public void StepGraph_NeverComputes_TheSameValueTwice(string name)
    {
        using var model = new RecordedModel(name);

        // What depends on constants alone is computed once by the runtime, when it loads the graph.
        var computed = Create(model.Config).Step.Nodes.Where(n => n.Inputs.Any(v => v is { Data: null }));
        var duplicates = computed.GroupBy(Signature).Where(group => group.Count() > 1);
        Assert.Empty(duplicates.Select(group => group.First().ToString()));

        static string Signature(Node n) =>
            $"{n.Domain}.{n.Op}({string.Join(",", n.Inputs.Select(v => v is null ? 0 : System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(v)))}){string.Join(",", n.Attributes.Items)}";
    }

    [Fact]
    public void Parameters_WithOneDimension_AreNotDecayed()
    {
        using var model = new RecordedModel("gpt2-tiny");
        var plain = Create(model.Config).Parameters.Where(p => !p.Decay).Select(p => p.Name);
        Assert.All(plain, name => Assert.True(name.EndsWith(".bias", StringComparison.Ordinal) || name.Contains(".ln_", StringComparison.Ordinal)));
        Assert.Equal(2 * (4 + 4) + 2, plain.Count());
    }

    [Fact]
    public void TiedTable_IsOneParameter_AndItsGradientIsTheSumOfBothUses()
    {
        using var model = new RecordedModel("qwen2-tiny");
        using var tied = new TrainingRun(model.Config, Shape);
        using var untied = new TrainingRun(model.Config with { TiedEmbeddings = false }, Shape);
        tied.Load(model);
        foreach (var p in untied.Graphs.Parameters) model.Weight(p.Name == "lm_head.weight" ? "model.embed_tokens.weight" : p.Name).CopyTo(untied[p.Name]);

        float loss = tied.Step(model.InputIds, model.Labels, model.LossScale);

        Assert.Equal(loss, untied.Step(model.InputIds, model.Labels, model.LossScale));
        var (embedding, head) = (Gradient(untied, "model.embed_tokens.weight"), Gradient(untied, "lm_head.weight"));
        Closeness.AssertClose(Gradient(tied, "model.embed_tokens.weight"), [.. embedding.Zip(head, (a, b) => a + b)], 1e-6, "tied gradient");
    }

    [Theory]
    [InlineData("gpt2-tiny", 1)]
    [InlineData("llama-tiny", 0)]
    [InlineData("qwen2-tiny", 1)]
    public void Loss_IsFusedWithTheOutputLayer_SoNoGraphHoldsLogits(string name, int tied)
    {
        using var model = new RecordedModel(name);
        var graphs = Create(model.Config);
        Assert.Single(graphs.Step.Nodes, n => n.Op == "LinearCrossEntropy");
        Assert.Single(graphs.Evaluation.Nodes, n => n.Op == "LinearTokenLoss");
        var made = graphs.Step.Nodes.Concat(graphs.Evaluation.Nodes).SelectMany(n => n.Outputs);
        Assert.DoesNotContain(made, v => v.Shape.Equals([Shape.Rows, model.Config.VocabularySize]));

        // A tied table's gradient lies in its buffer while the embedding's part is still to come.
        Assert.Equal(graphs.Trainable.Count() + tied, graphs.StepInPlace.Count());
    }

    [Theory]
    [InlineData("gpt2-tiny", ActivationCheckpointing.None)]
    [InlineData("gpt2-tiny", ActivationCheckpointing.Selective)]
    [InlineData("gpt2-tiny", ActivationCheckpointing.Block)]
    public void Attention_OverOneProjection_NeitherSplitsNorJoins(string name, ActivationCheckpointing kind)
    {
        using var model = new RecordedModel(name);
        var graphs = TrainingGraphs.Create(model.Config, Shape, new(), new StepSettings { Checkpointing = kind });
        Assert.DoesNotContain(graphs.Step.Nodes.Concat(graphs.Evaluation.Nodes), n => n.Op is "Split" or "Concat" && n.Output.Type == ElementType.Float);
    }

    [Fact]
    public void Loss_OverAFrozenOutputLayer_StaysAFunctionOfLogits()
    {
        using var model = new RecordedModel("llama-tiny");
        var graphs = TrainingGraphs.Create(new TrainingSetup { Model = model.Config, Shape = Shape, Optimizer = new(), Frozen = ["lm_head.weight"] });
        Assert.Single(graphs.Step.Nodes, n => n.Op == "SoftmaxCrossEntropy");
    }

    [Theory]
    [MemberData(nameof(RecordedModel.NamesAndKernels), MemberType = typeof(RecordedModel))]
    public void MicroBatches_OfUnequalTokens_SumToTheGradientOfTheWhole(string name, bool kernels)
    {
        using var model = new RecordedModel(name);
        using var whole = new TrainingRun(model.Config, Shape, kernels: kernels);
        using var parts = new TrainingRun(model.Config, Shape with { Batch = 1 }, kernels: kernels);
        whole.Load(model);
        parts.Load(model);

        float loss = whole.Step(model.InputIds, model.Labels, model.LossScale);
        float first = parts.Step(model.InputIds[..Shape.Time], model.Labels[..Shape.Time], model.LossScale, reset: true);
        float second = parts.Step(model.InputIds[Shape.Time..], model.Labels[Shape.Time..], model.LossScale, reset: false);

        Closeness.AssertClose([first + second], [loss], 1e-6, "loss");
        foreach (var p in whole.Graphs.Parameters) Closeness.AssertClose(parts[p.GradientBuffer], whole[p.GradientBuffer], 5e-6, p.Name);
    }

    [Theory]
    [InlineData(float.NaN, OptimizerKind.AdamW, true)]
    [InlineData(float.PositiveInfinity, OptimizerKind.AdamW, true)]
    [InlineData(float.PositiveInfinity, OptimizerKind.AdamW, false)]
    [InlineData(3e38f, OptimizerKind.AdamW, true)]
    [InlineData(float.NaN, OptimizerKind.Sgd, true)]
    [InlineData(float.NegativeInfinity, OptimizerKind.Sgd, false)]
    public void GradientThatIsNotFinite_LeavesEverything_Unchanged(float bad, OptimizerKind kind, bool kernels)
    {
        using var model = new RecordedModel("llama-tiny");
        using var run = new TrainingRun(model.Config, Shape, new OptimizerSettings { Kind = kind }, kernels);
        run.Load(model);
        run.Step(model.InputIds, model.Labels, model.LossScale);
        run["lm_head.weight_grad.accumulation.buffer"][5] = bad;

        float norm = run.Optimize(1e-3f, step: 1);

        Assert.False(float.IsFinite(norm));
        foreach (var p in run.Graphs.Parameters) Assert.Equal(model.Weight(p.Name), run[p.Name].ToArray());
        if (kind == OptimizerKind.AdamW) Assert.All(run.Graphs.Parameters, p => Assert.All(run[p.FirstMoment].ToArray(), m => Assert.Equal(0, m)));
    }

    [Fact]
    public void Sgd_SubtractsTheClippedGradient_AndDecaysMatrices()
    {
        using var model = new RecordedModel("llama-tiny");
        using var run = new TrainingRun(model.Config, Shape, new OptimizerSettings { Kind = OptimizerKind.Sgd, WeightDecay = 0.1f, ClipNorm = 0.5f });
        run.Load(model);
        run.Step(model.InputIds, model.Labels, model.LossScale);
        float scale = 0.5f / (run.Optimize(0.1f, step: 1) + 1e-6f);
        foreach (var p in run.Graphs.Parameters)
        {
            var gradient = model.Reference($"gradient.{p.Name}");
            float[] expected = [.. model.Weight(p.Name).Zip(gradient, (w, d) => w - 0.1f * (d * scale + (p.Decay ? 0.1f : 0) * w))];
            Closeness.AssertClose(run[p.Name], expected, 1e-5, p.Name);
        }
    }

    [Theory]
    [MemberData(nameof(RecordedModel.Names), MemberType = typeof(RecordedModel))]
    public void FreshModel_HasTheLoss_OfAUniformGuess(string name)
    {
        using var model = new RecordedModel(name);
        using var run = new TrainingRun(model.Config, Shape);
        run.Initialize(new Initializer(model.Config, seed: 1));
        float loss = run.Step(model.InputIds, model.Labels, model.LossScale);
        Assert.InRange(loss, 0.98 * Math.Log(model.Config.VocabularySize), 1.02 * Math.Log(model.Config.VocabularySize));
    }

    [Theory]
    [InlineData(0, 4, "at least one token")]
    [InlineData(1, 25, "longer than the model's 24 positions")]
    public void ImpossibleShape_IsRefused(int batch, int time, string reason)
    {
        using var model = new RecordedModel("gpt2-tiny");
        var e = Assert.Throws<GraphException>(() => TrainingGraphs.Create(model.Config, new(batch, time), new()));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    private static TrainingGraphs Create(ModelConfig config) => TrainingGraphs.Create(config, Shape, new());

    private static Graph[] AllOf(TrainingGraphs graphs) => [graphs.Step, graphs.Evaluation, graphs.Optimizer];

    private static float[] Gradient(TrainingRun run, string name) => run[$"{name}_grad.accumulation.buffer"].ToArray();
}
