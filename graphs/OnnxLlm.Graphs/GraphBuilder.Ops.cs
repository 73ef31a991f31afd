using System.Collections.Immutable;

namespace OnnxLlm.Graphs;

/// <summary>The operators, one line each where shape inference allows: a table to be read, not a file to be split.</summary>
public sealed partial class GraphBuilder
{
    // ---- arithmetic, with broadcasting
    public Value Add(Value a, Value b) => Elementwise("Add", a, b);

    public Value Sub(Value a, Value b) => Elementwise("Sub", a, b);

    /// <summary>The product; a scalar constant 1 is left out.</summary>
    public Value Mul(Value a, Value b) => IsOne(a) ? b : IsOne(b) ? a : Elementwise("Mul", a, b);

    public Value Div(Value a, Value b) => Elementwise("Div", a, b);

    public Value Pow(Value a, Value b) => Elementwise("Pow", a, b);

    public Value Sum(params ImmutableArray<Value> xs) =>
        xs.Length == 1 ? xs[0] : Emit("Sum", [.. xs], xs[0].Type, xs.Select(x => x.Shape).Aggregate(TensorShape.Broadcast));

    public Value Min(Value a, Value b) => Elementwise("Min", a, b);

    public Value Max(Value a, Value b) => Elementwise("Max", a, b);

    public Value Equal(Value a, Value b) => Emit("Equal", [a, b], ElementType.Bool, TensorShape.Broadcast(a.Shape, b.Shape));

    public Value Less(Value a, Value b) => Emit("Less", [a, b], ElementType.Bool, TensorShape.Broadcast(a.Shape, b.Shape));

    public Value GreaterOrEqual(Value a, Value b) => Emit("GreaterOrEqual", [a, b], ElementType.Bool, TensorShape.Broadcast(a.Shape, b.Shape));

    public Value And(Value a, Value b) => Emit("And", [a, b], ElementType.Bool, TensorShape.Broadcast(a.Shape, b.Shape));

    public Value Not(Value x) => Unary("Not", x);

    public Value Where(Value condition, Value a, Value b) =>
        Emit("Where", [condition, a, b], a.Type, TensorShape.Broadcast(condition.Shape, TensorShape.Broadcast(a.Shape, b.Shape)));

    // ---- pointwise functions
    public Value Neg(Value x) => Unary("Neg", x);

    public Value Abs(Value x) => Unary("Abs", x);

    public Value Floor(Value x) => Unary("Floor", x);

    public Value Exp(Value x) => Unary("Exp", x);

    public Value Log(Value x) => Unary("Log", x);

    public Value Sqrt(Value x) => Unary("Sqrt", x);

    public Value Reciprocal(Value x) => Unary("Reciprocal", x);

    public Value Tanh(Value x) => Unary("Tanh", x);

    public Value Sigmoid(Value x) => Unary("Sigmoid", x);

    public Value Erf(Value x) => Unary("Erf", x);

    public Value Relu(Value x) => Unary("Relu", x);

    public Value Sin(Value x) => Unary("Sin", x);

    public Value Cos(Value x) => Unary("Cos", x);

    public Value Identity(Value x) => Unary("Identity", x);

    public Value IsNaN(Value x) => Emit("IsNaN", [x], ElementType.Bool, x.Shape);

    public Value IsInf(Value x) => Emit("IsInf", [x], ElementType.Bool, x.Shape);

    public Value Cast(Value x, ElementType type) => x.Type == type ? x : Emit("Cast", [x], type, x.Shape, ("to", type));

    public Value CastLike(Value x, Value like) => Emit("CastLike", [x, like], like.Type, x.Shape);

    // ---- contraction
    public Value MatMul(Value a, Value b) => Emit("MatMul", [a, b], a.Type, MatMulShape(a.Shape, b.Shape));

    /// <summary>op(a)·op(b) of two matrices, plus an optional bias that broadcasts over rows.</summary>
    public Value Gemm(Value a, Value b, Value? bias = null, bool transposeA = false, bool transposeB = false)
    {
        if (a.Rank != 2 || b.Rank != 2) throw new GraphException($"Gemm needs two matrices, got {a.Shape} and {b.Shape}.");
        var (m, k) = transposeA ? (a.Shape[1], a.Shape[0]) : (a.Shape[0], a.Shape[1]);
        var (kb, n) = transposeB ? (b.Shape[1], b.Shape[0]) : (b.Shape[0], b.Shape[1]);
        if (k != kb) throw new GraphException($"Gemm cannot contract {a.Shape}{(transposeA ? "ᵀ" : "")} with {b.Shape}{(transposeB ? "ᵀ" : "")}.");
        return Emit("Gemm", bias is null ? [a, b] : [a, b, bias], a.Type, [m, n], ("transA", transposeA ? 1 : 0), ("transB", transposeB ? 1 : 0));
    }

    // ---- reduction (over all axes when none is given) and normalisation
    public Value ReduceSum(Value x, bool keepDimensions, params int[] axes) => Reduce("ReduceSum", x, keepDimensions, axes);

    public Value ReduceMean(Value x, bool keepDimensions, params int[] axes) => Reduce("ReduceMean", x, keepDimensions, axes);

    public Value ReduceMax(Value x, bool keepDimensions, params int[] axes) => Reduce("ReduceMax", x, keepDimensions, axes);

    /// <summary>Σ x² over all elements, a scalar.</summary>
    public Value ReduceSumSquare(Value x) => Emit("ReduceSumSquare", [x], x.Type, [], ("keepdims", 0));

    public Value Softmax(Value x) => Emit("Softmax", [x], x.Type, x.Shape, ("axis", -1));

    public Value LogSoftmax(Value x) => Emit("LogSoftmax", [x], x.Type, x.Shape, ("axis", -1));

    // ---- movement
    public Value Transpose(Value x, params int[] permutation) =>
        Emit("Transpose", [x], x.Type, [.. permutation.Select(p => x.Shape[p])], ("perm", permutation));

    public Value SwapLastTwo(Value x) => Transpose(x, [.. Enumerable.Range(0, x.Rank - 2), x.Rank - 1, x.Rank - 2]);

    public Value Concat(int axis, params ImmutableArray<Value> xs) =>
        Emit("Concat", [.. xs], xs[0].Type, xs[0].Shape.With(axis, Dimension.Sum(xs.Select(x => x.Shape[x.Shape.Axis(axis)]))), ("axis", axis));

    /// <summary>Elements <paramref name="start"/> up to, not including, <paramref name="end"/> of an axis; a negative start counts from the end.</summary>
    public Value Slice(Value x, int axis, long start, long end) =>
        Emit("Slice", [x, Int64s(start), Int64s(end), Int64s(axis)], x.Type, x.Shape.With(axis, SliceLength(x.Shape[x.Shape.Axis(axis)], start, end)));

    public ImmutableArray<Value> Split(Value x, int axis, params ReadOnlySpan<long> lengths) => Emit(
        "Split", [x, Int64s(lengths)], [.. lengths.ToArray().Select(n => (x.Type, x.Shape.With(axis, n)))], new Attributes(("axis", axis)));

    /// <summary>Adds zeros before and after along one axis.</summary>
    public Value Pad(Value x, int axis, long before, long after)
    {
        int at = x.Shape.Axis(axis);
        long[] pads = new long[2 * x.Rank];
        (pads[at], pads[x.Rank + at]) = (before, after);
        return Emit("Pad", [x, Int64s(pads)], x.Type, x.Shape.With(at, x.Shape[at].Value + before + after));
    }

    /// <summary>Inserts an axis of extent 1; <paramref name="axis"/> may be −1 for a new last one.</summary>
    public Value Unsqueeze(Value x, int axis)
    {
        int at = axis < 0 ? axis + x.Rank + 1 : axis;
        return Emit("Unsqueeze", [x, Int64s(at)], x.Type, [.. x.Shape[..at], 1, .. x.Shape[at..]]);
    }

    /// <summary>A matrix whose columns are the axes from <paramref name="axis"/> on; one column where there are none.</summary>
    public Value Flatten(Value x, int axis)
    {
        int at = axis == x.Rank ? axis : x.Shape.Axis(axis);
        return Emit("Flatten", [x], x.Type, [Dimension.Product(x.Shape[..at]), Dimension.Product(x.Shape[at..])], ("axis", axis));
    }

    // ---- lookup
    /// <summary>Rows of <paramref name="table"/> [V, ...] chosen by <paramref name="ids"/>.</summary>
    public Value Gather(Value table, Value ids, int axis = 0) =>
        Emit("Gather", [table, ids], table.Type, [.. table.Shape[..axis], .. ids.Shape, .. table.Shape[(axis + 1)..]], ("axis", axis));

    public Value GatherElements(Value x, Value ids, int axis) => Emit("GatherElements", [x, ids], x.Type, ids.Shape, ("axis", axis));

    /// <summary><paramref name="into"/> with the elements of <paramref name="updates"/> put, or added, where <paramref name="ids"/> points along an axis.</summary>
    public Value ScatterElements(Value into, Value ids, Value updates, int axis, bool add = false) =>
        Emit("ScatterElements", [into, ids, updates], into.Type, into.Shape, ("axis", axis), ("reduction", add ? "add" : "none"));

    // ---- shapes
    /// <summary>A tensor of zeros of the type of <paramref name="like"/>, made when the graph runs.</summary>
    public Value Zeros(TensorShape shape, Value like) =>
        Emit("ConstantOfShape", [Int64s(shape.ToArray())], like.Type, shape, ("value", TensorData.Scalar(0, like.Type) with { Shape = [1] }));

    public Value ShapeOf(Value x) => Emit("Shape", [x], ElementType.Int64, [x.Rank]);

    /// <summary>One extent, as an int64 tensor of shape [1].</summary>
    public Value ExtentOf(Value x, int axis) =>
        Emit("Shape", [x], ElementType.Int64, [1], axis == -1 ? [("start", axis)] : [("start", axis), ("end", axis + 1)]);

    /// <summary>Number of elements, an int64 scalar.</summary>
    public Value SizeOf(Value x) => Emit("Size", [x], ElementType.Int64, []);

    public Value Range(Value start, Value limit, Value delta, Dimension length) => Emit("Range", [start, limit, delta], start.Type, [length]);

    // ---- shared by the above
    public Value Unary(string op, Value x) => Emit(op, [x], x.Type, x.Shape);

    private static bool IsOne(Value x) => x.Data?.IsScalar(1) == true;

    private static Dimension SliceLength(Dimension extent, long start, long end)
    {
        if (!extent.IsKnown) return start < 0 && end > int.MaxValue ? -start : end - start;
        long from = start < 0 ? start + extent.Value : start, to = Math.Min(end < 0 ? end + extent.Value : end, extent.Value);
        return to - from;
    }

    private static TensorShape MatMulShape(TensorShape a, TensorShape b)
    {
        if (a.Rank < 2 || b.Rank < 2 || a[a.Rank - 1] != b[b.Rank - 2]) throw new GraphException($"MatMul cannot contract {a} with {b}.");
        return [.. TensorShape.Broadcast(a[..^2], b[..^2]), a[a.Rank - 2], b[b.Rank - 1]];
    }

    private Value Elementwise(string op, Value a, Value b) => a.Type == b.Type
        ? Emit(op, [a, b], a.Type, TensorShape.Broadcast(a.Shape, b.Shape))
        : throw new GraphException($"'{op}' needs operands of one type, got {a.Type}{a.Shape} and {b.Type}{b.Shape}.");

    private Value Reduce(string op, Value x, bool keepDimensions, int[] axes)
    {
        if (axes.Length == 0) axes = [.. Enumerable.Range(0, x.Rank)];
        int[] counted = [.. axes.Select(x.Shape.Axis)];
        var kept = x.Shape.Select((d, i) => (d, reduced: counted.Contains(i))).Where(p => keepDimensions || !p.reduced);
        return Emit(
            op, [x, Int64s([.. axes.Select(a => (long)a)])], x.Type, [.. kept.Select(p => p.reduced ? (Dimension)1 : p.d)], ("keepdims", keepDimensions ? 1 : 0));
    }
}
