using System.Collections.Immutable;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.OrtTraining;

/// <summary>
/// The graphs of <see cref="TrainingGraphs"/> in the form that ORT Training expects: the same mathematics without our functions, with the runtime's
/// own accumulators, which alone may write what its optimizer reads.
/// </summary>
internal static class OrtTrainingGraphs
{
    /// <summary>Inputs that the program feeds, in their order; everything else the runtime feeds by itself.</summary>
    public static ImmutableArray<string> StepInputs { get; } = ["input_ids", "labels", "loss_scale"];

    /// <summary>
    /// <c>loss</c> [] is scaled and summed as in our own step graph; <c>gradient_norm</c> [] is that of the gradients summed so far, before clipping.
    /// </summary>
    public static ImmutableArray<string> StepOutputs { get; } = ["loss", "gradient_norm"];

    /// <summary>Forward, backward, and one accumulator per trainable parameter.</summary>
    public static ModelProto Step(TrainingSetup setup, ImmutableArray<ParameterInfo> trainable)
    {
        var g = new GraphBuilder("step");
        var (loss, gradients) = TrainingGraphs.Differentiate(g, setup, trainable);
        Value[] buffers = [.. trainable.Select(p => TrainingGraphs.GradientBuffer(g, p))];
        var reset = g.Input("lazy_reset_grad", ElementType.Bool, [1]);
        var sums = buffers.Zip(gradients, (buffer, gradient) => Accumulate(g, buffer, gradient, reset)).ToList();

        g.Output(StepOutputs[0], loss);
        g.Output(StepOutputs[1], g.Sqrt(g.Sum([.. sums.Select(s => g.SquaredNorm(s.Sum))])));
        foreach (var (p, sum) in trainable.Zip(sums)) g.Output(p.GradientOutput, sum.Flag);
        return OnnxWriter.Write(Inlining.Apply(g.Build()));
    }

    /// <summary>
    /// Parameters, <c>input_ids</c> and <c>labels</c> → <c>token_losses</c> [B*T], over the value <c>logits</c> [B*T, V], which depends on no label:
    /// the output to ask for when the runtime exports the model for inference.
    /// </summary>
    public static ModelProto Evaluation(ModelConfig config, TrainingShape shape)
    {
        // As an output the value gets its name; it keeps the name, and the memory of an output is not spent on it.
        var model = OnnxWriter.Write(Inlining.Apply(TrainingGraphs.EvaluationGraph(config, shape, withLogits: true)));
        model.Graph.Output.RemoveAt(1);
        return model;
    }

    private static (Value Flag, Value Sum) Accumulate(GraphBuilder g, Value buffer, Value gradient, Value reset)
    {
        var outputs = g.Emit("InPlaceAccumulatorV2", [buffer, gradient, reset], [(ElementType.Bool, [1]), (buffer.Type, buffer.Shape)], domain: "com.microsoft");
        return (outputs[0], outputs[1]);
    }
}
