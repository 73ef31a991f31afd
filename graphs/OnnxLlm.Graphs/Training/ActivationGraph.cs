using System.Globalization;
using System.Text.RegularExpressions;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>An auxiliary graph that looks at the output of every block: parameters and <c>input_ids</c> int64 [B, T] (with what else the family's graphs take) → three vectors of [L].
/// Of an encoder-decoder's blocks of one number it looks at the decoder's.</summary>
public static partial class ActivationGraph
{
    public const string Mean = "activation_mean", Deviation = "activation_deviation", Max = "activation_max";

    public static Graph Create(ModelConfig config, TrainingShape shape)
    {
        var g = new GraphBuilder("activations");
        var ids = g.Input("input_ids", ElementType.Int64, [shape.Batch, shape.Time]);
        _ = TrainedModel.Logits(g, config.Validated(), shape, ids);

        // A block's output is what its last node computes; nodes know their module.
        Value[] outputs = [.. g.Nodes.GroupBy(n => Block(n.Scope)).Where(b => b.Key >= 0).OrderBy(b => b.Key).Select(b => b.Last().Output)];
        g.Output(Mean, Vector(g, outputs.Select(x => All(g.ReduceMean, x))));
        g.Output(Deviation, Vector(g, outputs.Select(x => g.Sqrt(All(g.ReduceMean, Square(x - All(g.ReduceMean, x)))))));
        g.Output(Max, Vector(g, outputs.Select(x => g.Sqrt(All(g.ReduceMax, Square(x))))));
        return g.Build();
    }

    private delegate Value Reduction(Value x, bool keepDimensions, params int[] axes);

    private static Value All(Reduction reduce, Value x) => reduce(x, keepDimensions: false);

    private static Value Square(Value x) => x * x;

    private static Value Vector(GraphBuilder g, IEnumerable<Value> scalars) => g.Concat(0, [.. scalars.Select(x => g.Unsqueeze(x, 0))]);

    private static int Block(string scope) => BlockNumber().Match(scope) is { Success: true } match ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : -1;

    [GeneratedRegex(@"\.(\d+)(?:/|$)")]
    private static partial Regex BlockNumber();
}
