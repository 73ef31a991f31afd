using System.Collections.Immutable;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The three graphs that train a decoder, plain ONNX for any runtime.
/// <para>Step: parameters, gradient buffers, <c>input_ids</c> and <c>labels</c> int64 [B, T] (labels shifted by the data, −100 does not count),
/// <c>loss_scale</c> [] (1 / valid tokens of the whole batch), <c>lazy_reset_grad</c> bool [1] → <c>loss</c> [] and the accumulated gradients.</para>
/// <para>Evaluation: parameters, <c>input_ids</c>, <c>labels</c> → <c>token_losses</c> [B*T], 0 where the label does not count.</para>
/// <para>Optimizer: parameters, gradient buffers, moments, <c>learning_rate</c> [], <c>step</c> int64 [] from 1, with loss scaling <c>inverse_loss_scale</c> [] → the same updated, and
/// <c>gradient_norm</c> [] before clipping. A norm that is not finite leaves everything unchanged.</para>
/// </summary>
public sealed record TrainingGraphs(Graph Step, Graph Evaluation, Graph Optimizer, ImmutableArray<ParameterInfo> Parameters)
{
    /// <summary>Inputs and outputs of the step graph that are bound to one buffer each.</summary>
    public IEnumerable<(string Input, string Output)> StepInPlace => Parameters.Select(p => (p.GradientBuffer, p.GradientOutput));

    /// <summary>Inputs and outputs of the optimizer graph that are bound to one buffer each.</summary>
    public IEnumerable<(string Input, string Output)> OptimizerInPlace =>
        Optimizer.Outputs.Select(o => o.Name).Where(n => n != OptimizerGraph.Norm).Select(n => (n[..^ParameterInfo.Updated("").Length], n));

    /// <summary>Whether the optimizer graph undoes a factor of the gradients, see <see cref="StepSettings.HasLossScale"/>.</summary>
    public bool HasLossScale => Optimizer.Inputs.Any(v => v.Name == OptimizerGraph.InverseLossScale);

    public static TrainingGraphs Create(ModelConfig config, TrainingShape shape, OptimizerSettings optimizer, StepSettings? step = null)
    {
        Check(config.Validated(), shape);
        var parameters = Decoders.Parameters(config);
        step ??= new StepSettings();
        var graphs = new TrainingGraphs(
            MatrixProducts.Fuse(step.Apply(StepGraph(config, shape, step))), MatrixProducts.Fuse(step.Apply(EvaluationGraph(config, shape))),
            OptimizerGraph.Create(parameters, optimizer, step.HasLossScale), parameters);
        InPlace.Require(graphs.Step, graphs.StepInPlace);
        InPlace.Require(graphs.Optimizer, graphs.OptimizerInPlace);
        return graphs;
    }

    private static Graph StepGraph(ModelConfig config, TrainingShape shape, StepSettings settings)
    {
        var g = new GraphBuilder("step");
        var (ids, labels) = Batch(g, shape);
        var scale = g.Input("loss_scale", ElementType.Float, []);
        var logits = new Decoder(config, new TrainingParts(g, config, shape)).Logits(ids);    // [B*T, V]
        var loss = g.SoftmaxCrossEntropy(logits, g.Reshape(labels, [shape.Rows]), scale);

        Value[] parameters = [.. g.Inputs.Where(v => v.IsParameter)];
        g.Output("loss", loss);
        Accumulate(g, parameters, Backward.Gradients(loss, parameters, settings.Checkpointing));
        return g.Build();
    }

    /// <summary>Adds the gradients to their buffers: micro-batches then sum to the gradient of the whole batch.</summary>
    private static void Accumulate(GraphBuilder g, Value[] parameters, ImmutableArray<Value> gradients)
    {
        Value[] buffers = [.. parameters.Select(p => g.Input(Describe(p).GradientBuffer, p.Type, p.Shape))];
        var reset = g.Input("lazy_reset_grad", ElementType.Bool, [1]);
        for (int i = 0; i < parameters.Length; i++)
            g.Output(Describe(parameters[i]).GradientOutput, g.Accumulate(buffers[i], gradients[i], reset));
    }

    private static Graph EvaluationGraph(ModelConfig config, TrainingShape shape)
    {
        var g = new GraphBuilder("evaluation");
        var (ids, labels) = Batch(g, shape);
        var logits = new Decoder(config, new TrainingParts(g, config, shape)).Logits(ids);    // [B*T, V]
        g.Output("token_losses", g.TokenLoss(logits, g.Reshape(labels, [shape.Rows])));
        return g.Build();
    }

    /// <summary>Logits [B*T, V] for parameters and <c>input_ids</c>, for comparisons.</summary>
    internal static Graph LogitsGraph(ModelConfig config, TrainingShape shape)
    {
        var g = new GraphBuilder("logits");
        var ids = g.Input("input_ids", ElementType.Int64, [shape.Batch, shape.Time]);
        g.Output("logits", new Decoder(config, new TrainingParts(g, config, shape)).Logits(ids));
        return g.Build();
    }

    internal static ParameterInfo Describe(Value parameter) =>
        new(parameter.Name!, [.. parameter.Shape.ToArray()], Decay: parameter.Rank > 1);

    private static (Value Ids, Value Labels) Batch(GraphBuilder g, TrainingShape shape) =>
        (g.Input("input_ids", ElementType.Int64, [shape.Batch, shape.Time]), g.Input("labels", ElementType.Int64, [shape.Batch, shape.Time]));

    private static void Check(ModelConfig config, TrainingShape shape)
    {
        if (shape.Batch < 1 || shape.Time < 1) throw new GraphException($"A training step needs at least one token, got {shape.Batch} sequences of {shape.Time}.");
        if (shape.Time > config.MaxPositions) throw new GraphException($"Sequences of {shape.Time} tokens are longer than the model's {config.MaxPositions} positions.");
    }
}
