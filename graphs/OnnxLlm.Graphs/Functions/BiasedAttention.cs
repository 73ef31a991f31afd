namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// Attention of T queries over S keys whose scores are not scaled and have a bias added, which also hides: −1e30 there leaves a weight of 0. What a query gets that may look
/// at nothing has no meaning, but is finite. The gradient computes the weights again, so nothing as large as T·S is kept.
/// </summary>
internal static class BiasedAttention
{
    /// <summary>Added to a hidden score: its exponential is 0 beside any other's, and a row of nothing else has no 0/0.</summary>
    internal const double Hidden = -1e30;

    internal static Function Forward { get; } = new()
    {
        Name = "BiasedAttention",
        Inputs = [new("q", ["B", "T", "H*K"]), new("k", ["B", "S", "H*K"]), new("v", ["B", "S", "H*K"]), new("bias", ["B", "H", "T", "S"])],
        Outputs = ["o"],
        Attributes = [("heads", 1)],
        Infer = Infer,
        Body = (g, inputs) => [Merge(g, g.MatMul(Weights(g, inputs[0], inputs[1], inputs[3]), Heads(g, inputs[2])))],
        Gradient = (g, n, dy) => [.. Backward!.Call(g, [dy, n[0], n[1], n[2], n[3], n.Output], [.. n.Attributes.Items])],
    };

    /// <summary>The bias' gradient is [B, H, T, S], whatever the bias was broadcast from.</summary>
    internal static Function Backward { get; } = new()
    {
        Name = "BiasedAttentionGrad",
        Inputs = [new("do", ["B", "T", "H*K"]), .. Forward.Inputs, new("o", ["B", "T", "H*K"])],
        Outputs = ["dq", "dk", "dv", "dbias"],
        Attributes = Forward.Attributes,
        Infer = (inputs, attributes) =>
        [
            .. inputs.Skip(1).Take(3).Select(x => (x.Type, x.Shape)),
            (inputs[4].Type, [inputs[1].Shape[0], attributes.Int("heads"), inputs[1].Shape[1], inputs[2].Shape[1]]),
        ],
        Body = (g, inputs) =>
        {
            var (dout, q, k, v) = (Heads(g, inputs[0]), Heads(g, inputs[1]), Heads(g, inputs[2]), Heads(g, inputs[3]));
            var p = Weights(g, inputs[1], inputs[2], inputs[4]);

            // Σ P·dP along a row is Σ dO·O, which is much shorter.
            var along = g.ReduceSum(dout * Heads(g, inputs[5]), keepDimensions: true, -1);
            var ds = p * (g.MatMul(dout, g.SwapLastTwo(v)) - along);
            return [Merge(g, g.MatMul(ds, k)), Merge(g, g.MatMul(g.SwapLastTwo(ds), q)), Merge(g, g.MatMul(g.SwapLastTwo(p), dout)), ds];
        },
    };

    /// <summary>[B, H, T, S].</summary>
    private static Value Weights(GraphBuilder g, Value q, Value k, Value bias) => g.Softmax(g.MatMul(Heads(g, q), g.SwapLastTwo(Heads(g, k))) + bias);

    /// <summary>[B, T, H*K] → [B, H, T, K].</summary>
    private static Value Heads(GraphBuilder g, Value x)
    {
        var extents = g.Concat(0, g.Int64s(0, 0), g.IntAttribute("heads"), g.Int64s(-1));
        return g.Transpose(g.Emit("Reshape", [x, extents], x.Type, [x.Shape[0], x.Shape[1], "H", "K"]), 0, 2, 1, 3);
    }

    /// <summary>Undoes <see cref="Heads"/>.</summary>
    private static Value Merge(GraphBuilder g, Value x)
    {
        var apart = g.Transpose(x, 0, 2, 1, 3);
        return g.Emit("Reshape", [apart, g.Int64s(0, 0, -1)], x.Type, [apart.Shape[0], apart.Shape[1], "H*K"]);
    }

    private static IEnumerable<(ElementType Type, TensorShape Shape)> Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        var (q, k, bias, heads) = (inputs[0], inputs[1], inputs[3], attributes.Int("heads"));
        bool fits = q.Rank == 3 && k.Rank == 3 && k.Shape.Equals(inputs[2].Shape) && q.Shape[0] == k.Shape[0] && q.Shape[2] == k.Shape[2] && bias.Rank == 4;
        if (!fits || (q.Shape[2].IsKnown && q.Shape[2].Value % heads != 0) || !Broadcasts(bias.Shape, [q.Shape[0], heads, q.Shape[1], k.Shape[1]]))
            throw new GraphException($"BiasedAttention with {heads} heads cannot take q {q.Shape}, k {k.Shape}, v {inputs[2].Shape}, bias {bias.Shape}.");
        return [(q.Type, q.Shape)];
    }

    private static bool Broadcasts(TensorShape bias, TensorShape scores) => bias.Zip(scores).All(p => p.First == p.Second || p.First == 1);
}
