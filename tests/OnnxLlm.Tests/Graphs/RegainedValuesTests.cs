using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

public sealed class RegainedValuesTests
{
    [Theory]
    [InlineData("gpt2-tiny", "Gelu")]
    [InlineData("llama-tiny", "SwiGlu")]
    public void ValueOfAnActivation_IsReadOnceAndGivenAgainByItsGradient(string name, string activation)
    {
        using var model = new RecordedModel(name);
        Graph step = Step(model.Config, new());
        Node[] forward = [.. step.Nodes.Where(n => n.Op == activation)], gradients = [.. step.Nodes.Where(n => n.Op == $"{activation}GradWithValue")];
        Assert.Equal((model.Config.Layers, model.Config.Layers), (forward.Length, gradients.Length));
        Assert.DoesNotContain(step.Nodes, n => n.Op == $"{activation}Grad");
        Assert.All(forward, n => Assert.Single(Readers(step, n.Output)));
        Assert.All(gradients, n => Assert.Equal("AccumulatedProduct", Assert.Single(Readers(step, n.Outputs[^1])).Op));
    }

    /// <summary>Of the two norms of a block; the last one is read by the loss, which has its weight's gradient itself.</summary>
    [Theory]
    [InlineData("gpt2-tiny", "LayerNorm")]
    [InlineData("llama-tiny", "RmsNorm")]
    public void ValueOfANorm_IsGivenAgainByItsGradient(string name, string norm)
    {
        using var model = new RecordedModel(name);
        Graph step = Step(model.Config, new());
        Node[] gradients = [.. step.Nodes.Where(n => n.Op == $"{norm}GradWithValue")];
        Assert.Equal(2 * model.Config.Layers, gradients.Length);
        Assert.Single(step.Nodes, n => n.Op == $"{norm}Grad");
        Assert.All(gradients, n => Assert.All(Readers(step, n.Outputs[^1]), reader => Assert.Equal("AccumulatedProduct", reader.Op)));
        Assert.All(step.Nodes.Where(n => n.Op == norm), n => Assert.DoesNotContain(Readers(step, n.Output), reader => reader.Op == "AccumulatedProduct"));
    }

    /// <summary>The products of all blocks of the decoder read what the encoder's last norm gave; its gradient comes after theirs.</summary>
    [Fact]
    public void ValueThatManyBlocksRead_IsKept()
    {
        ModelConfig config = TinyModel.T5().Config;
        Graph step = Step(config, new());
        Node last = step.Nodes.Where(n => n.Op == "RmsNorm").MaxBy(n => Readers(step, n.Output).Length)!;
        Assert.True(Readers(step, last.Output).Count(n => n.Op == "AccumulatedProduct") >= config.Layers);
    }

    /// <summary>The product reads a rounded copy, which the gradient does not give; what is computed again would not be needed then.</summary>
    [Fact]
    public void OfRoundedProducts_NothingIsRegained()
    {
        using var model = new RecordedModel("gpt2-tiny");
        Assert.DoesNotContain(Step(model.Config, new() { Precision = Precision.Bf16, Rounded = true }).Nodes, n => n.Op == "GeluGradWithValue");
        Assert.DoesNotContain(Step(model.Config, new() { Target = GraphTarget.Cuda }).Nodes, n => n.Op == "GeluGradWithValue");
    }

    private static Graph Step(ModelConfig config, StepSettings settings) =>
        TrainingGraphs.Create(config, new TrainingShape(RecordedModel.Batch, RecordedModel.Time), new OptimizerSettings(), settings).Step;

    private static Node[] Readers(Graph graph, Value value) => [.. graph.Nodes.Where(n => n.Inputs.Contains(value))];
}
