using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// The norm of a residual sum, and the sum, which the next one adds to: for answering only, without statistics for a gradient. The runtime's own operators, which a GPU runs, are
/// the definitions.
/// </summary>
internal static class SkipNorm
{
    private static readonly FunctionPort _weight = new("weight", ["D"]);

    internal static Function Rms { get; } = Create("SkipRmsNorm", "SkipSimplifiedLayerNormalization", [_weight]);

    internal static Function Layer { get; } = Create("SkipLayerNorm", "SkipLayerNormalization", [_weight, new("bias", ["D"])]);

    private static Function Create(string name, string op, ImmutableArray<FunctionPort> gains) => new()
    {
        Name = name,
        Inputs = [new("x", ["B", "S", "D"]), new("skip", ["B", "S", "D"]), .. gains],
        Outputs = ["y", "sum"],
        Attributes = [("epsilon", 1e-5f)],
        Infer = (inputs, _) => inputs[0].Shape.Equals(inputs[1].Shape)
            ? Enumerable.Repeat((inputs[0].Type, inputs[0].Shape), 2)
            : throw new GraphException($"{name} needs two tensors of one shape, got {inputs[0].Shape} and {inputs[1].Shape}."),
        Body = (g, inputs) =>
        {
            // Outputs 1 and 2 are statistics that nobody reads; 3 is the sum.
            var outputs = g.Emit(
                op, [.. inputs], [.. Enumerable.Repeat((inputs[0].Type, inputs[0].Shape), 4)], new Attributes(("epsilon", AttributeValue.Reference("epsilon", 0f))), "com.microsoft");
            return [outputs[0], outputs[3]];
        },
    };
}
