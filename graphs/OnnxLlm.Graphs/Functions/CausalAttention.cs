namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Causal self-attention of H query heads over G key/value heads (grouped queries when G &lt; H; query head h reads key head h·G/H).
/// The definition lays the R = H/G query heads of a group below each other, [B, G, R*T, K]: every product is then a plain batched one, nothing is
/// repeated or broadcast, and the gradients of keys and values sum over the group by themselves.
/// </summary>
internal static class CausalAttention
{
    internal static Function Forward { get; } = new()
    {
        Name = "CausalAttention",
        Inputs = [new("q", ["B", "T", "H*K"]), new("k", ["B", "T", "G*K"]), new("v", ["B", "T", "G*K"])],
        Outputs = ["o", "lse"],
        Attributes = [("heads", 1), ("kv_heads", 1)],
        Infer = Infer,
        Body = (g, inputs) =>
        {
            var layout = new AttentionLayout(g, inputs[1]);
            var scores = layout.Scores(inputs[0], inputs[1]);
            var log = g.LogSoftmax(scores);

            // Key 0 is visible to every query, so its score and log-probability give the log-sum-exp.
            var lse = layout.PerQuery(g.Slice(scores, -1, 0, 1) - g.Slice(log, -1, 0, 1));
            return [layout.Merge(g.MatMul(layout.Stack(g.Exp(log)), layout.Keys(inputs[2]))), lse];
        },
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1], n[2], n.Outputs[0], n.Outputs[1]], [.. n.Attributes.Items])],
    };

    internal static Function Backward { get; } = new()
    {
        Name = "CausalAttentionGrad",
        Inputs =
        [
            new("do", ["B", "T", "H*K"]), new("q", ["B", "T", "H*K"]), new("k", ["B", "T", "G*K"]), new("v", ["B", "T", "G*K"]),
            new("o", ["B", "T", "H*K"]), new("lse", ["B", "H", "T"]),
        ],
        Outputs = ["dq", "dk", "dv"],
        Attributes = [("heads", 1), ("kv_heads", 1)],
        Infer = (inputs, _) => inputs.Skip(1).Take(3).Select(x => (x.Type, x.Shape)),
        Body = (g, inputs) =>
        {
            var layout = new AttentionLayout(g, inputs[2]);
            var (dout, q, k, v) = (layout.Queries(inputs[0]), layout.Queries(inputs[1]), layout.Keys(inputs[2]), layout.Keys(inputs[3]));
            var p = layout.Stack(g.Exp(layout.Scores(inputs[1], inputs[2]) - layout.FromPerQuery(inputs[5])));

            // Σ P·dP along a row is Σ dO·O, which is much shorter.
            var along = g.ReduceSum(dout * layout.Queries(inputs[4]), keepDimensions: true, -1);
            var ds = p * (g.MatMul(dout, g.SwapLastTwo(v)) - along);
            var dk = g.MatMul(g.SwapLastTwo(ds), q * layout.Scale);
            return [layout.Merge(g.MatMul(ds, k) * layout.Scale), layout.MergeKeys(dk), layout.MergeKeys(g.MatMul(g.SwapLastTwo(p), dout))];
        },
    };

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        var (q, k, heads, kvHeads) = (inputs[0], inputs[1], attributes.Int("heads"), attributes.Int("kv_heads"));
        bool fits = q.Rank == 3 && k.Shape.Equals(inputs[2].Shape) && q.Shape[..2].Equals(k.Shape[..2]) && heads % kvHeads == 0;
        if (!fits || (q.Shape.IsKnown && q.Shape[2].Value * kvHeads != k.Shape[2].Value * heads))
            throw new GraphException($"CausalAttention with {heads} heads over {kvHeads} cannot take q {q.Shape}, k {k.Shape}, v {inputs[2].Shape}.");
        return [(q.Type, q.Shape), (q.Type, [q.Shape[0], heads, q.Shape[1]])];
    }
}
