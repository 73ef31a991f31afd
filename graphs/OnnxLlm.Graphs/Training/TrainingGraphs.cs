using System.Collections.Immutable;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>
/// The three graphs that train a model, plain ONNX for any runtime. Those of an encoder also take <c>attention_mask</c> int64 [B, T], 1 for a token and 0 for padding;
/// those of an encoder-decoder that and <c>decoder_input_ids</c> int64 [B, T], what its decoder reads.
/// A classifier has one label for a sequence: its <c>labels</c> and <c>token_losses</c> are [B], and its evaluation also gives <c>predictions</c> int64 [B], the likeliest labels.
/// <para>Step: parameters, gradient buffers, <c>input_ids</c> and <c>labels</c> int64 [B, T] (labels shifted, or masked, by the data; −100 does not count),
/// <c>loss_scale</c> [] (1 / valid tokens of the whole batch), <c>lazy_reset_grad</c> bool [1] → <c>loss</c> [] and the accumulated gradients.</para>
/// <para>Evaluation: parameters, <c>input_ids</c>, <c>labels</c> → <c>token_losses</c> [B*T], 0 where the label does not count.</para>
/// <para>Optimizer: parameters, gradient buffers, moments, <c>learning_rate</c> [], <c>step</c> int64 [] from 1, with loss scaling <c>inverse_loss_scale</c> [] → the same updated, and
/// <c>gradient_norm</c> [] before clipping. A norm that is not finite leaves everything unchanged.</para>
/// </summary>
public sealed record TrainingGraphs(Graph Step, Graph Evaluation, Graph Optimizer, ImmutableArray<ParameterInfo> Parameters)
{
    /// <summary>How the trainable parameters lie in the tensors of the optimizer graph.</summary>
    public required ImmutableArray<FlatGroup> Groups { get; init; }

    /// <summary>Those that are not frozen: the ones with gradients and moments.</summary>
    public IEnumerable<ParameterInfo> Trainable => Parameters.Where(p => p.Trainable);

    /// <summary>Inputs and outputs of the step graph that are bound to one buffer each.</summary>
    public IEnumerable<(string Input, string Output)> StepInPlace =>
        from p in Trainable
        from output in new[] { p.GradientOutput, LinearLosses.WithoutEmbedding(p.GradientOutput) }
        where Step.Outputs.Any(o => o.Name == output)
        select (p.GradientBuffer, output);

    /// <summary>Inputs and outputs of the optimizer graph that are bound to one buffer each.</summary>
    public IEnumerable<(string Input, string Output)> OptimizerInPlace => OptimizerGraph.InPlace(Optimizer);

    /// <summary>Whether the optimizer graph undoes a factor of the gradients, see <see cref="StepSettings.HasLossScale"/>.</summary>
    public bool HasLossScale => Optimizer.Inputs.Any(v => v.Name == OptimizerGraph.InverseLossScale);

    public static TrainingGraphs Create(ModelConfig config, TrainingShape shape, OptimizerSettings optimizer, StepSettings? step = null) =>
        Create(new TrainingSetup { Model = config, Shape = shape, Optimizer = optimizer, Step = step ?? new() });

    public static TrainingGraphs Create(TrainingSetup setup)
    {
        var (parameters, trainable) = (setup.Parameters(), setup.Trainable());
        var groups = setup.Step.Target == GraphTarget.Cuda ? FlatParameters.Together(trainable, setup.Optimizer) : FlatParameters.Apart(trainable);
        var graphs = new TrainingGraphs(
            setup.Step.Apply(StepGraph(setup, trainable)), setup.Step.Apply(EvaluationGraph(setup.Model, setup.Shape)),
            ForTarget(OptimizerGraph.Create([.. groups.Select(g => g.Whole)], setup.Optimizer, setup.Step.HasLossScale), setup.Step.Target), parameters)
        { Groups = groups };
        InPlace.Require(graphs.Step, graphs.StepInPlace);
        InPlace.Require(graphs.Optimizer, graphs.OptimizerInPlace);
        return graphs;
    }

    /// <summary>A graph that looks at a model in training, in the form in which the target runs it.</summary>
    public static Graph ForTarget(Graph graph, GraphTarget target) => target == GraphTarget.Cuda ? Cuda.CudaGraph.Of(graph) : graph;

    private static Graph StepGraph(TrainingSetup setup, ImmutableArray<ParameterInfo> trainable)
    {
        var g = new GraphBuilder("step");
        var (loss, gradients) = Differentiate(g, setup, trainable);
        g.Output("loss", loss);

        // Added to their buffers, the gradients of micro-batches sum to the gradient of the whole batch.
        Value[] buffers = [.. trainable.Select(p => GradientBuffer(g, p))];
        var reset = g.Input("lazy_reset_grad", ElementType.Bool, [1]);
        foreach (var (i, p) in trainable.Index()) g.Output(p.GradientOutput, g.Accumulate(buffers[i], gradients[i], reset));
        return g.Build();
    }

    /// <summary>The scaled loss of a micro-batch and its gradient for each trainable parameter; declares the inputs but those for accumulation.</summary>
    internal static (Value Loss, ImmutableArray<Value> Gradients) Differentiate(GraphBuilder g, TrainingSetup setup, ImmutableArray<ParameterInfo> trainable)
    {
        var (config, shape) = (setup.Model, setup.Shape);
        var (ids, labels) = Batch(g, config, shape);
        var scale = g.Input("loss_scale", ElementType.Float, []);
        var logits = TrainedModel.Logits(g, config, shape, ids);    // [B*T, V] or [B, C]
        var loss = g.SoftmaxCrossEntropy(logits, labels, scale);
        return (loss, Backward.Gradients(loss, [.. trainable.Select(p => g.Inputs.Single(v => v.Name == p.Name))], setup.Step.Checkpointing));
    }

    internal static Value GradientBuffer(GraphBuilder g, ParameterInfo p) => g.Input(p.GradientBuffer, ElementType.Float, TensorShape.Of(p.Shape));

    /// <param name="withLogits">Whether the logits are an output too.</param>
    internal static Graph EvaluationGraph(ModelConfig config, TrainingShape shape, bool withLogits = false)
    {
        var g = new GraphBuilder("evaluation");
        var (ids, labels) = Batch(g, config, shape);
        var logits = TrainedModel.Logits(g, config, shape, ids);    // [B*T, V] or [B, C]
        g.Output("token_losses", g.TokenLoss(logits, labels));
        if (config.IsClassifier) g.Output("predictions", g.Emit("ArgMax", [logits], ElementType.Int64, [shape.Batch], ("axis", 1), ("keepdims", 0)));
        if (withLogits) g.Output("logits", logits);
        return g.Build();
    }

    /// <summary>Logits [B*T, V], of a classifier [B, C], for parameters and <c>input_ids</c>, for comparisons.</summary>
    internal static Graph LogitsGraph(ModelConfig config, TrainingShape shape)
    {
        var g = new GraphBuilder("logits");
        var ids = g.Input("input_ids", ElementType.Int64, [shape.Batch, shape.Time]);
        g.Output("logits", TrainedModel.Logits(g, config, shape, ids));
        return g.Build();
    }

    internal static ParameterInfo Describe(Value parameter) =>
        new(parameter.Name!, [.. parameter.Shape.ToArray()], Decay: parameter.Rank > 1);

    private static (Value Ids, Value Labels) Batch(GraphBuilder g, ModelConfig config, TrainingShape shape) =>
        (g.Input("input_ids", ElementType.Int64, [shape.Batch, shape.Time]), TrainedModel.Labels(g, config, shape));
}
