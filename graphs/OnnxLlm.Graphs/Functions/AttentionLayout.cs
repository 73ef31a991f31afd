namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// The layouts inside the definition of attention, for any extents: they are read from the tensors when the graph runs.
/// B batch, T time, G key/value heads, R query heads of each, H = G·R, K head size.
/// </summary>
internal sealed class AttentionLayout
{
    private static readonly TensorShape Stacked = ["B", "G", "R*T", "K"], Grouped = ["B", "G", "R", "T", "K"];
    private readonly GraphBuilder _g;
    private readonly Value _heads, _groups, _ratio, _time, _size;

    /// <param name="g">The function's body.</param>
    /// <param name="k">The keys, [B, T, G*K].</param>
    /// <param name="groups">Attribute with the number of key/value heads.</param>
    internal AttentionLayout(GraphBuilder g, Value k, string groups = "kv_heads")
    {
        _g = g;
        (_heads, _groups, _time) = (g.IntAttribute("heads"), g.IntAttribute(groups), g.ExtentOf(k, 1));
        (_ratio, _size) = (g.Div(_heads, _groups), g.Div(g.ExtentOf(k, 2), _groups));
        Scale = g.Reciprocal(g.Sqrt(g.CastLike(_size, k)));
    }

    /// <summary>1/√K.</summary>
    internal Value Scale { get; }

    /// <summary>[B, T, H*K] → [B, G, R*T, K].</summary>
    internal Value Queries(Value x)
    {
        var split = Reshape(x, ["B", "T", "G", "R", "K"], _g.Int64s(0, 0), _groups, _ratio, _g.Int64s(-1));
        return Reshape(_g.Transpose(split, 0, 2, 3, 1, 4), Stacked, _g.Int64s(0, 0, -1), _size);
    }

    /// <summary>[B, T, G*K] → [B, G, T, K].</summary>
    internal Value Keys(Value x) =>
        _g.Transpose(Reshape(x, ["B", "T", "G", "K"], _g.Int64s(0, 0), _groups, _g.Int64s(-1)), 0, 2, 1, 3);

    /// <summary>Undoes <see cref="Queries"/>.</summary>
    internal Value Merge(Value x)
    {
        var split = Reshape(x, Grouped, _g.Int64s(0, 0), _ratio, _time, _g.Int64s(-1));
        return Reshape(_g.Transpose(split, 0, 3, 1, 2, 4), ["B", "T", "H*K"], _g.Int64s(0, 0, -1));
    }

    /// <summary>Undoes <see cref="Keys"/>.</summary>
    internal Value MergeKeys(Value x) => Reshape(_g.Transpose(x, 0, 2, 1, 3), ["B", "T", "G*K"], _g.Int64s(0, 0, -1));

    /// <summary>q·kᵀ/√K, −∞ where the key comes after the query: [B, G, R, T, T].</summary>
    internal Value Scores(Value q, Value k)
    {
        var scores = Reshape(Products(q, k), ["B", "G", "R", "T", "T"], _g.Int64s(0, 0), _ratio, _time, _time);
        var scalar = Reshape(_time, [], _g.Int64s());
        var positions = _g.Range(_g.Constant(Zero), scalar, _g.Constant(One), "T");
        return _g.Where(_g.GreaterOrEqual(_g.Unsqueeze(positions, -1), positions), scores, _g.Scalar(double.NegativeInfinity, scores));
    }

    /// <summary>q·kᵀ/√K: [B, G, R*T, T].</summary>
    internal Value Products(Value q, Value k) => _g.MatMul(Queries(q) * Scale, _g.SwapLastTwo(Keys(k)));

    /// <summary>[B, G, R, T, T] → [B, G, R*T, T].</summary>
    internal Value Stack(Value p) => Reshape(p, ["B", "G", "R*T", "T"], _g.Int64s(0, 0, -1), _time);

    /// <summary>[B, G, R, T, 1] → [B, H, T].</summary>
    internal Value PerQuery(Value x) => Reshape(x, ["B", "H", "T"], _g.Int64s(0), _heads, _time);

    /// <summary>Undoes <see cref="PerQuery"/>.</summary>
    internal Value FromPerQuery(Value x) => Reshape(x, ["B", "G", "R", "T", 1], _g.Int64s(0), _groups, _ratio, _time, _g.Int64s(1));

    private static TensorData Zero => TensorData.Scalar(0, ElementType.Int64);

    private static TensorData One => TensorData.Scalar(1, ElementType.Int64);

    private Value Reshape(Value x, TensorShape shape, params ReadOnlySpan<Value> extents) =>
        _g.Emit("Reshape", [x, extents.Length == 1 ? extents[0] : _g.Concat(0, [.. extents])], x.Type, shape);
}
