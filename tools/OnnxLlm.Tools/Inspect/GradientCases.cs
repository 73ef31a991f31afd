using System.Collections.Immutable;
using OnnxLlm.Graphs;

namespace OnnxLlm.Tools.Inspect;

/// <summary>At least one case for every row of the table of gradient rules; the forms of a rule that behave differently each have their own.</summary>
internal static class GradientCases
{
    private static readonly (double, double) Positive = (1, 2);

    private static readonly (string Name, TensorShape A, TensorShape B)[] BroadcastForms =
    [
        ("equal shapes", [2, 3], [2, 3]), ("scalar", [2, 3], []), ("leading axis", [2, 2, 3], [2, 3]), ("inner axis", [2, 2, 3], [2, 1, 3]),
        ("mutual", [2, 1], [1, 3]), ("symbolic batch", ["B", 3], [3]),
    ];

    internal static ImmutableArray<GradientCase> Operators { get; } =
    [
        // arithmetic
        .. Broadcasts("Add", (g, x) => x[0] + x[1]),
        .. Broadcasts("Sub", (g, x) => x[0] - x[1]),
        .. Broadcasts("Mul", (g, x) => x[0] * x[1]),
        .. Broadcasts("Div", (g, x) => x[0] / x[1], Positive),
        .. Broadcasts("Pow", (g, x) => g.Pow(x[0], x[1]), Positive),
        .. Broadcasts("Min", (g, x) => g.Min(x[0], x[1])),
        .. Broadcasts("Where", (g, x) => g.Where(Bools(g, [3], true, false, true), x[0], x[1])),
        new("Sum", "three, broadcast", [[2, 3], [3], []], (g, x) => g.Sum([.. x])),
        new("Sum", "one value twice", [[2, 3]], (g, x) => g.Sum([x[0], x[0]])),

        // pointwise functions
        new("Neg", "plain", [[2, 3]], (g, x) => -x[0]),
        new("Exp", "plain", [[2, 3]], (g, x) => g.Exp(x[0])),
        new("Log", "plain", [[2, 3]], (g, x) => g.Log(x[0])) { Range = Positive },
        new("Sqrt", "plain", [[2, 3]], (g, x) => g.Sqrt(x[0])) { Range = Positive },
        new("Reciprocal", "plain", [[2, 3]], (g, x) => g.Reciprocal(x[0])) { Range = Positive },
        new("Tanh", "plain", [[2, 3]], (g, x) => g.Tanh(x[0])),
        new("Sigmoid", "plain", [[2, 3]], (g, x) => g.Sigmoid(x[0])),
        new("Erf", "plain", [[2, 3]], (g, x) => g.Erf(x[0])) { Type = ElementType.Float },
        new("Relu", "plain", [[4, 3]], (g, x) => g.Relu(x[0])),
        new("Sin", "plain", [[2, 3]], (g, x) => g.Sin(x[0])),
        new("Cos", "plain", [[2, 3]], (g, x) => g.Cos(x[0])),
        new("Identity", "plain", [[2, 3]], (g, x) => g.Identity(x[0])),
        new("Cast", "to double and back", [[2, 3]], (g, x) => g.Cast(g.Cast(x[0], ElementType.Double), ElementType.Float)) { Type = ElementType.Float },
        new("CastLike", "to single", [[2, 3]], (g, x) => g.CastLike(g.Cast(x[0], ElementType.Double), g.Scalar(0, x[0]))) { Type = ElementType.Float },

        // contraction
        new("MatMul", "matrices", [[2, 3], [3, 4]], (g, x) => g.MatMul(x[0], x[1])),
        new("MatMul", "batch by matrix", [[2, 3, 4], [4, 2]], (g, x) => g.MatMul(x[0], x[1])),
        new("MatMul", "symbolic batch by matrix", [["B", "T", 4], [4, 2]], (g, x) => g.MatMul(x[0], x[1])),
        new("MatMul", "matrix by batch", [[2, 3], [2, 3, 2]], (g, x) => g.MatMul(x[0], x[1])),
        new("MatMul", "batches that broadcast", [[2, 1, 2, 3], [1, 2, 3, 2]], (g, x) => g.MatMul(x[0], x[1])),
        new("Gemm", "NN", [[2, 3], [3, 4]], (g, x) => g.Gemm(x[0], x[1])),
        new("Gemm", "NT, bias per column", [[2, 3], [4, 3], [4]], (g, x) => g.Gemm(x[0], x[1], x[2], transposeB: true)),
        new("Gemm", "TN, bias per row", [[3, 2], [3, 4], [2, 1]], (g, x) => g.Gemm(x[0], x[1], x[2], transposeA: true)),
        new("Gemm", "TT, scalar bias", [[3, 2], [4, 3], []], (g, x) => g.Gemm(x[0], x[1], x[2], true, true)),

        // reduction and normalisation
        new("ReduceSum", "first axis, dropped", [[2, 3, 2]], (g, x) => g.ReduceSum(x[0], false, 0)),
        new("ReduceSum", "outer axes, kept", [[2, 3, 2]], (g, x) => g.ReduceSum(x[0], true, -1, 0)),
        new("ReduceSum", "symbolic axis", [["B", 3]], (g, x) => g.ReduceSum(x[0], false, 0)),
        new("ReduceMean", "middle axis, dropped", [[2, 3, 2]], (g, x) => g.ReduceMean(x[0], false, 1)),
        new("ReduceMean", "all axes", [[2, 3]], (g, x) => g.ReduceMean(x[0], false)),
        new("ReduceMean", "symbolic axis, kept", [["B", 3]], (g, x) => g.ReduceMean(x[0], true, 0)),
        new("ReduceMax", "last axis, dropped", [[2, 3]], (g, x) => g.ReduceMax(x[0], false, -1)),
        new("ReduceMax", "tied maxima", [[3, 1]], (g, x) => g.ReduceMax(g.Concat(1, x[0], x[0]), true, 1)),
        new("ReduceSumSquare", "all axes", [[2, 3]], (g, x) => g.ReduceSumSquare(x[0])),
        new("Softmax", "last axis", [[2, 4]], (g, x) => g.Softmax(x[0])),
        new("Softmax", "first axis", [[3, 2]], (g, x) => g.Emit("Softmax", [x[0]], x[0].Type, x[0].Shape, ("axis", 0))),
        new("LogSoftmax", "last axis", [[2, 4]], (g, x) => g.LogSoftmax(x[0])),

        // movement
        new("Transpose", "cycle of three", [[2, 3, 4]], (g, x) => g.Transpose(x[0], 2, 0, 1)),
        new("Reshape", "known", [[2, 3]], (g, x) => g.Reshape(x[0], [3, 2])),
        new("Reshape", "symbolic", [["B", 4]], (g, x) => g.Reshape(x[0], ["B", 2, 2])),
        new("Flatten", "symbolic", [["B", "T", 2]], (g, x) => g.Flatten(x[0], -1)),
        new("Unsqueeze", "middle", [[2, 3]], (g, x) => g.Unsqueeze(x[0], 1) * g.Scalar(2, x[0])),
        new("Expand", "inner and leading", [[3, 1]], (g, x) => g.Expand(x[0], [2, 3, 2])),
        new("Expand", "symbolic", [[1, 3], ["B", 3]], (g, x) => g.ExpandLike(x[0], x[1]) * x[1]),
        new("Concat", "unequal", [[2, 3], [2, 1]], (g, x) => g.Concat(-1, x[0], x[1])),
        new("Split", "both parts used", [[2, 5]], (g, x) => Product(g.Split(x[0], 1, 2, 3), (a, b) => g.ReduceSum(a, true, 1) * b)),
        new("Split", "one part unused", [[2, 5]], (g, x) => g.Split(x[0], -1, 2, 3)[1]),
        new("Slice", "from the start", [[3, 4]], (g, x) => g.Slice(x[0], 1, 1, 3)),
        new("Slice", "the last row", [[3, 4]], (g, x) => g.Slice(x[0], 0, -1, long.MaxValue)),
        new("Pad", "both sides", [[2, 3]], (g, x) => g.Pad(x[0], -1, 1, 2) + 1),

        // lookup
        new("Gather", "rows, one of them twice", [[4, 3]], (g, x) => g.Gather(x[0], Ints(g, [2, 2], 1, 3, 1, 0))),
        new("Gather", "another axis", [[2, 4, 3]], (g, x) => g.Gather(x[0], Ints(g, [2, 2], 1, 3, 1, 0), axis: 1)),
        new("Gather", "one position", [[2, 4, 3]], (g, x) => g.Gather(x[0], Ints(g, [], 2), axis: 1)),
        new("Gather", "table also used densely", [[4, 3]], (g, x) => g.MatMul(g.Gather(x[0], Ints(g, [2], 3, 3)), g.SwapLastTwo(x[0]))),
        new("GatherElements", "one of a row", [[3, 4]], (g, x) => g.GatherElements(x[0], Ints(g, [3, 1], 2, 0, 2), 1)),
        new("ScatterElements", "replacing", [[3, 4], [3, 1]], (g, x) => g.ScatterElements(x[0], Ints(g, [3, 1], 2, 0, 2), x[1], 1)),
        new("ScatterElements", "adding", [[3, 4], [3, 2]], (g, x) => g.ScatterElements(x[0], Ints(g, [3, 2], 2, 2, 0, 1, 2, 3), x[1], 1, add: true)),
    ];

    private static IEnumerable<GradientCase> Broadcasts(string op, Func<GraphBuilder, Value[], Value> build, (double, double)? range = null) =>
        BroadcastForms.Select(form => new GradientCase(op, form.Name, [form.A, form.B], build) { Range = range ?? (-1.5, 1.5) });

    private static Value Product(ImmutableArray<Value> parts, Func<Value, Value, Value> combine) => combine(parts[0], parts[1]);

    internal static Value Ints(GraphBuilder g, TensorShape shape, params ReadOnlySpan<long> values) =>
        g.Constant(TensorData.Of(ElementType.Int64, shape, values));

    internal static Value Bools(GraphBuilder g, TensorShape shape, params ReadOnlySpan<bool> values) =>
        g.Constant(TensorData.Of(ElementType.Bool, shape, values));
}
