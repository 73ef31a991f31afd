namespace OnnxLlm.Graphs.Functions;

/// <summary>What the optimizer updates share.</summary>
internal static class Updates
{
    internal static IEnumerable<(ElementType Type, TensorShape Shape)> SameShape(string function, IEnumerable<Value> values)
    {
        var shape = values.First().Shape;
        return values.FirstOrDefault(v => !v.Shape.Equals(shape)) is { } other
            ? throw new GraphException($"{function} needs state and gradient of the parameter's shape {shape}, got {other.Shape}.")
            : values.Select(v => (v.Type, v.Shape));
    }

    /// <summary>Every pair's first value, or its second where the scale is not finite. A choice, not a product: 0·NaN is NaN.</summary>
    internal static Value[] WhereFinite(GraphBuilder g, Value scale, params ReadOnlySpan<(Value Updated, Value Old)> pairs)
    {
        var finite = g.And(g.Not(g.IsNaN(scale)), g.Not(g.IsInf(scale)));
        var chosen = new Value[pairs.Length];
        for (int i = 0; i < pairs.Length; i++) chosen[i] = g.Where(finite, pairs[i].Updated, pairs[i].Old);
        return chosen;
    }
}
