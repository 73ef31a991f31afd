using System.Collections.Frozen;
using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Autodiff;

/// <summary>The gradient of each input of a node with several differentiable outputs; <paramref name="dys"/> holds null for outputs the loss does not use.</summary>
internal delegate Value?[] ManyOutputsRule(GraphBuilder g, Node n, ImmutableArray<Value?> dys);

/// <summary>
/// One rule per differentiable operator: given the node n and the gradient dy of its output, the gradient of each input, null where none flows.
/// Rules ignore broadcasting: the walk (<see cref="Backward"/>) sums it away. Fused operators bring their own rule, see <see cref="Function.Gradient"/>.
/// </summary>
public static class GradientRules
{
    public static FrozenDictionary<string, GradientRule> Table { get; } = new Dictionary<string, GradientRule>
    {
        // arithmetic
        ["Add"] = (g, n, dy) => [dy, dy],
        ["Sub"] = (g, n, dy) => [dy, -dy],
        ["Mul"] = (g, n, dy) => [dy * n[1], dy * n[0]],
        ["Div"] = (g, n, dy) => [dy / n[1], -dy * n.Output / n[1]],
        ["Pow"] = (g, n, dy) => [dy * n[1] * g.Pow(n[0], n[1] - 1), dy * n.Output * g.Log(n[0])],
        ["Sum"] = (g, n, dy) => [.. n.Inputs.Select(_ => dy)],
        ["Min"] = (g, n, dy) => [g.Where(g.Less(n[1], n[0]), Zero(g, dy), dy), g.Where(g.Less(n[1], n[0]), dy, Zero(g, dy))],
        ["Where"] = (g, n, dy) => [null, g.Where(n[0], dy, Zero(g, dy)), g.Where(n[0], Zero(g, dy), dy)],

        // pointwise functions, in terms of the output where that is cheaper
        ["Neg"] = (g, n, dy) => [-dy],
        ["Exp"] = (g, n, dy) => [dy * n.Output],
        ["Log"] = (g, n, dy) => [dy / n[0]],
        ["Sqrt"] = (g, n, dy) => [dy / (n.Output * 2)],
        ["Reciprocal"] = (g, n, dy) => [-dy * n.Output * n.Output],
        ["Tanh"] = (g, n, dy) => [dy * (1 - n.Output * n.Output)],
        ["Sigmoid"] = (g, n, dy) => [dy * n.Output * (1 - n.Output)],
        ["Erf"] = (g, n, dy) => [dy * (2 / Math.Sqrt(Math.PI)) * g.Exp(-n[0] * n[0])],
        ["Relu"] = (g, n, dy) => [g.Where(g.Less(Zero(g, dy), n.Output), dy, Zero(g, dy))],
        ["Sin"] = (g, n, dy) => [dy * g.Cos(n[0])],
        ["Cos"] = (g, n, dy) => [-dy * g.Sin(n[0])],
        ["Identity"] = (g, n, dy) => [dy],
        ["Cast"] = (g, n, dy) => [g.Cast(dy, n[0].Type)],
        ["CastLike"] = (g, n, dy) => [g.Cast(dy, n[0].Type), null],

        // contraction, in the forms that need no transposed copy of a matrix
        ["MatMul"] = (g, n, dy) => n[1].Rank == 2
            ? [g.ReshapeLike(g.Gemm(Rows(g, dy), n[1], transposeB: true), n[0]), g.Gemm(Rows(g, n[0]), Rows(g, dy), transposeA: true)]
            : [g.MatMul(dy, g.SwapLastTwo(n[1])), g.MatMul(g.SwapLastTwo(n[0]), dy)],
        ["Gemm"] = (g, n, dy) => [.. GemmFactors(g, n, dy), .. n.Inputs.Skip(2).Select(_ => dy)],

        // reduction and normalisation
        ["ReduceSum"] = (g, n, dy) => [Spread(g, n, dy), .. Nothing(n)],
        ["ReduceMean"] = (g, n, dy) => [Spread(g, n, dy / Count(g, n)), .. Nothing(n)],
        ["ReduceMax"] = (g, n, dy) => [ToMaxima(g, n, dy), .. Nothing(n)],
        ["ReduceSumSquare"] = (g, n, dy) => [n[0] * 2 * Spread(g, n, dy), .. Nothing(n)],
        ["Softmax"] = (g, n, dy) => [(dy - g.ReduceSum(dy * n.Output, true, Axis(n))) * n.Output],
        ["LogSoftmax"] = (g, n, dy) => [dy - g.Exp(n.Output) * g.ReduceSum(dy, true, Axis(n))],

        // movement: undo it
        ["Transpose"] = (g, n, dy) => [g.Transpose(dy, Inverse(n.Attributes.Ints("perm")))],
        ["Reshape"] = (g, n, dy) => [g.ReshapeLike(dy, n[0]), null],
        ["Flatten"] = (g, n, dy) => [g.ReshapeLike(dy, n[0])],
        ["Unsqueeze"] = (g, n, dy) => [g.ReshapeLike(dy, n[0]), null],
        ["Expand"] = (g, n, dy) => [dy, null],
        ["Concat"] = (g, n, dy) => [.. g.Split(dy, Axis(n), [.. n.Inputs.Select(x => x!.Shape[x.Shape.Axis(Axis(n))].Value)])],
        ["Slice"] = (g, n, dy) => [Unslice(g, n, dy), .. Nothing(n)],
        ["Pad"] = (g, n, dy) => [Unpad(g, n, dy), .. Nothing(n)],

        // lookup: the indices get nothing
        ["Gather"] = (g, n, dy) => [Ungather(g, n, dy), null],
        ["GatherElements"] = (g, n, dy) => [g.ScatterElements(g.Zeros(n[0].Shape, dy), n[1], dy, Axis(n), add: true), null],
        ["ScatterElements"] = (g, n, dy) => [ReplacedBy0(g, n, dy), null, g.GatherElements(dy, n[1], Axis(n))],
    }.ToFrozenDictionary();

    /// <summary>Operators of which several outputs are differentiable.</summary>
    internal static FrozenDictionary<string, ManyOutputsRule> ManyOutputs { get; } = new Dictionary<string, ManyOutputsRule>
    {
        ["Split"] = (g, n, dys) => [g.Concat(Axis(n), [.. dys.Select((dy, i) => dy ?? g.Zeros(n.Outputs[i].Shape, n[0]))]), .. Nothing(n)],
    }.ToFrozenDictionary();

    /// <summary>Operators without a gradient by definition. An operator in none of the three sets is an error.</summary>
    public static FrozenSet<string> NonDifferentiable { get; } =
    [
        "And", "Constant", "ConstantOfShape", "Equal", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "Not", "Range", "Shape", "Size",
    ];

    /// <summary>Every operator with a rule.</summary>
    public static IEnumerable<string> Differentiable => Table.Keys.Concat(ManyOutputs.Keys).Order(StringComparer.Ordinal);

    private static Value Zero(GraphBuilder g, Value like) => g.Scalar(0, like);

    private static int Axis(Node n) => (int)n.Attributes.Int("axis", -1);

    private static string Attribute(Node n, string name) => n.Attributes.Items.Any(a => a.Name == name) ? n.Attributes.Text(name) : "none";

    /// <summary>No gradient for any input but the first.</summary>
    private static IEnumerable<Value?> Nothing(Node n) => n.Inputs.Skip(1).Select(_ => (Value?)null);

    private static Value Rows(GraphBuilder g, Value x) => x.Rank == 2 ? x : g.Flatten(x, -1);

    private static Value[] GemmFactors(GraphBuilder g, Node n, Value dy)
    {
        bool ta = n.Attributes.Int("transA", 0) != 0, tb = n.Attributes.Int("transB", 0) != 0;
        if (n.Attributes.Float("alpha", 1) != 1 || n.Attributes.Float("beta", 1) != 1) throw Unsupported.Form(n, "alpha = beta = 1");
        return
        [
            ta ? g.Gemm(n[1], dy, transposeA: tb, transposeB: true) : g.Gemm(dy, n[1], transposeB: !tb),
            tb ? g.Gemm(dy, n[0], transposeA: true, transposeB: ta) : g.Gemm(n[0], dy, transposeA: !ta),
        ];
    }

    private static int[] Axes(Node n)
    {
        if (n.Inputs.Length == 1) return [.. Enumerable.Range(0, n[0].Rank)];
        return [.. Constant(n, 1).Select(a => n[0].Shape.Axis((int)a)).Order()];
    }

    /// <summary>A reduced tensor with its reduced axes back, as extents of 1.</summary>
    private static Value Kept(GraphBuilder g, Node n, Value reduced) =>
        n.Attributes.Int("keepdims", 1) != 0 ? reduced : Axes(n).Aggregate(reduced, g.Unsqueeze);

    private static Value Spread(GraphBuilder g, Node n, Value dy) => g.ExpandLike(Kept(g, n, dy), n[0]);

    /// <summary>How many elements a reduction takes together.</summary>
    private static Value Count(GraphBuilder g, Node n)
    {
        var extent = Dimension.Product(Axes(n).Select(a => n[0].Shape[a]));
        return extent.IsKnown ? g.Scalar(extent.Value, n[0]) : g.Cast(g.SizeOf(n[0]), n[0].Type) / g.Cast(g.SizeOf(n.Output), n[0].Type);
    }

    /// <summary>Equal maxima share the gradient.</summary>
    private static Value ToMaxima(GraphBuilder g, Node n, Value dy)
    {
        var maxima = g.Cast(g.Equal(n[0], Kept(g, n, n.Output)), dy.Type);
        return maxima * (Kept(g, n, dy) / g.ReduceSum(maxima, keepDimensions: true, Axes(n)));
    }

    private static int[] Inverse(long[] permutation) => [.. Enumerable.Range(0, permutation.Length).Select(i => Array.IndexOf(permutation, i))];

    private static Value Unslice(GraphBuilder g, Node n, Value dy)
    {
        if (n.Inputs.Length != 4 || n[3].Shape.ElementCount != 1) throw Unsupported.Form(n, "one axis, step 1");
        int axis = n[0].Shape.Axis((int)Constant(n, 3)[0]);
        long start = Constant(n, 1)[0], extent = n[0].Shape[axis].Value;
        long before = start < 0 ? start + extent : start;
        return g.Pad(dy, axis, before, extent - before - n.Output.Shape[axis].Value);
    }

    private static Value Unpad(GraphBuilder g, Node n, Value dy)
    {
        long[] pads = Constant(n, 1);
        var padded = Enumerable.Range(0, dy.Rank).Where(i => pads[i] != 0 || pads[dy.Rank + i] != 0);
        return padded.Aggregate(dy, (x, i) => g.Slice(x, i, pads[i], dy.Shape[i].Value - pads[dy.Rank + i]));
    }

    /// <summary>Every row of dy is added to the row of zeros that it was read from; for another axis than the first, with that axis in front.</summary>
    private static Value Ungather(GraphBuilder g, Node n, Value dy)
    {
        int axis = n[0].Shape.Axis((int)n.Attributes.Int("axis", 0)), span = n[1].Rank;
        if (axis == 0) return g.ScatterAddRows(g.Zeros(n[0].Shape, dy), n[1], dy);

        int[] order = [axis, .. Enumerable.Range(0, n[0].Rank).Where(i => i != axis)];
        int[] dyOrder = [.. Enumerable.Range(axis, span), .. Enumerable.Range(0, dy.Rank).Where(i => i < axis || i >= axis + span)];
        var zeros = g.Zeros([.. order.Select(i => n[0].Shape[i])], dy);
        var front = g.ScatterAddRows(zeros, n[1], g.Transpose(dy, dyOrder));
        return g.Transpose(front, Inverse([.. order.Select(i => (long)i)]));
    }

    /// <summary>Where elements were replaced, those before them had no influence; where they were added to, they had.</summary>
    private static Value ReplacedBy0(GraphBuilder g, Node n, Value dy) => Attribute(n, "reduction") switch
    {
        "add" => dy,
        "none" => g.ScatterElements(dy, n[1], g.Zeros(n[2].Shape, dy), Axis(n)),
        _ => throw Unsupported.Form(n, "reduction = none or add"),
    };

    private static long[] Constant(Node n, int input) =>
        n[input].Data is { } data ? data.As<long>().ToArray() : throw Unsupported.Form(n, $"input {input} a constant");
}
