using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Tests.Training;

public class FrozenParametersTests
{
    private static readonly ModelConfig Untied = TinyTraining.Model with { TiedEmbeddings = false };
    private static readonly TrainingShape Shape = new(4, TinyTraining.Time);

    [Fact]
    public void Frozen_Tensors_KeepEveryBitOverAHundredSteps()
    {
        var graphs = Graphs("model.layers.0.mlp.*", "*norm.weight", "lm_head.weight");
        using var engine = new OnnxTrainingEngine(graphs, Shape, new SessionSettings { Threads = 1 });
        engine.Tensors.Initialize(new Initializer(Untied, 1));
        var before = Values(engine, graphs);
        var batch = TokenDataset.Pack(TinyTraining.Windows(TinyTraining.Tokens(400)), 4, row => (row, row));
        float first = 0, last = 0;

        for (var step = 1; step <= 100; step++)
        {
            last = engine.Accumulate(batch, reset: true, 1f / batch.ValidTokens);
            if (step == 1) first = last;
            engine.Update(1e-2, step);
        }

        Assert.True(last < first, $"{first} → {last}");
        foreach (var (p, values) in graphs.Parameters.Zip(before))
            Assert.True(p.Trainable != values.AsSpan().SequenceEqual(engine.Tensors[p.Name].Span<float>()), p.Name);
    }

    [Fact]
    public void Frozen_Tensors_HaveNoGradientNodes()
    {
        var (all, some) = (Graphs().Step, Graphs("model.embed_tokens.weight", "model.layers.0.*").Step);

        Assert.Contains(all.Nodes, n => n.Scope.StartsWith("gradient/model.layers.0", StringComparison.Ordinal));
        Assert.DoesNotContain(some.Nodes, n => n.Scope.StartsWith("gradient/model.layers.0", StringComparison.Ordinal));
        Assert.DoesNotContain(some.Inputs.Concat(some.Outputs.Select(o => o.Value)), v => v.Name?.StartsWith("model.layers.0.mlp.up_proj.weight_grad", StringComparison.Ordinal) == true);
        Assert.Equal(all.Parameters.Select(p => p.Name), some.Parameters.Select(p => p.Name));
    }

    [Fact]
    public void Optimizer_KnowsOnly_TheTrainableTensors()
    {
        var graphs = Graphs("model.embed_tokens.weight");

        Assert.DoesNotContain(graphs.Optimizer.Inputs, v => v.Name!.StartsWith("model.embed_tokens", StringComparison.Ordinal));
        Assert.Equal(graphs.Trainable.Select(p => p.Name), graphs.Optimizer.Parameters.Select(p => p.Name));
    }

    [Theory]
    [InlineData("model.layers.9.*", "frozen: 'model.layers.9.*' is the name of no parameter.")]
    [InlineData("model.norm.wieght", "frozen: 'model.norm.wieght' is the name of no parameter. Did you mean 'model.norm.weight'?")]
    [InlineData("*", "frozen: nothing is left to train.")]
    public void Patterns_ThatCannotBeMeant_AreRefused(string pattern, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<GraphException>(() => Graphs(pattern)).Message, StringComparison.Ordinal);

    private static TrainingGraphs Graphs(params string[] frozen) =>
        TrainingGraphs.Create(new TrainingSetup { Model = Untied, Shape = Shape, Optimizer = new OptimizerSettings(), Frozen = frozen });

    private static float[][] Values(OnnxTrainingEngine engine, TrainingGraphs graphs) => [.. graphs.Parameters.Select(p => engine.Tensors[p.Name].Span<float>().ToArray())];
}
