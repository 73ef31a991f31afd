namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Attention of every token to every other whose mask is not 0, of as many query as key/value heads. What a sequence of padding alone gives has no meaning, but
/// is finite. The gradient computes the weights again, so nothing as large as T² is kept.
/// </summary>
internal static class MaskedAttention
{
    /// <summary>In the place of a hidden score: its exponential is 0 beside any other's, and a row of nothing else has no 0/0.</summary>
    private const double Hidden = -1e30;

    internal static Function Forward { get; } = new()
    {
        Name = "MaskedAttention",
        Inputs = [new("q", ["B", "T", "H*K"]), new("k", ["B", "T", "H*K"]), new("v", ["B", "T", "H*K"]), new("mask", ElementType.Int64, ["B", "T"])],
        Outputs = ["o"],
        Attributes = [("heads", 1)],
        Infer = Infer,
        Body = (g, inputs) =>
        {
            var layout = new AttentionLayout(g, inputs[1], "heads");
            return [layout.Merge(g.MatMul(Weights(g, layout, inputs[0], inputs[1], inputs[3]), layout.Keys(inputs[2])))];
        },
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1], n[2], n[3], n.Output], [.. n.Attributes.Items]), null],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "MaskedAttentionGrad",
        Inputs = [new("do", ["B", "T", "H*K"]), .. Forward.Inputs, new("o", ["B", "T", "H*K"])],
        Outputs = ["dq", "dk", "dv"],
        Attributes = Forward.Attributes,
        Infer = (inputs, _) => inputs.Skip(1).Take(3).Select(x => (x.Type, x.Shape)),
        Body = (g, inputs) =>
        {
            var layout = new AttentionLayout(g, inputs[2], "heads");
            var (dout, q, k, v) = (layout.Queries(inputs[0]), layout.Queries(inputs[1]), layout.Keys(inputs[2]), layout.Keys(inputs[3]));
            var p = Weights(g, layout, inputs[1], inputs[2], inputs[4]);

            // Σ P·dP along a row is Σ dO·O, which is much shorter.
            var along = g.ReduceSum(dout * layout.Queries(inputs[5]), keepDimensions: true, -1);
            var ds = p * (g.MatMul(dout, g.SwapLastTwo(v)) - along);
            var dk = g.MatMul(g.SwapLastTwo(ds), q * layout.Scale);
            return [layout.Merge(g.MatMul(ds, k) * layout.Scale), layout.MergeKeys(dk), layout.MergeKeys(g.MatMul(g.SwapLastTwo(p), dout))];
        },
    };

    /// <summary>[B, H, T, T].</summary>
    private static Value Weights(GraphBuilder g, AttentionLayout layout, Value q, Value k, Value mask)
    {
        var scores = layout.Products(q, k);
        var hidden = g.Equal(g.Unsqueeze(g.Unsqueeze(mask, 1), 1), g.Int64s(0));    // [B, 1, 1, T]
        return g.Softmax(g.Where(hidden, g.Scalar(Hidden, scores), scores));
    }

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        var (q, mask, heads) = (inputs[0], inputs[3], attributes.Int("heads"));
        bool fits = q.Rank == 3 && q.Shape.Equals(inputs[1].Shape) && q.Shape.Equals(inputs[2].Shape) && mask.Shape.Equals(q.Shape[..2]);
        if (!fits || (q.Shape[2].IsKnown && q.Shape[2].Value % heads != 0))
            throw new GraphException($"MaskedAttention with {heads} heads cannot take q {q.Shape}, k {inputs[1].Shape}, v {inputs[2].Shape}, mask {mask.Shape}.");
        return [(q.Type, q.Shape)];
    }
}
