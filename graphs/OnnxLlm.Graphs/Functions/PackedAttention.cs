namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// <see cref="CausalAttention"/> of queries, keys and values that lie side by side, as one projection makes them: nothing is split before nor joined after.
/// Graphs are built and differentiated with the separate ones, see <see cref="Training.PackedAttentions"/>.
/// </summary>
internal static class PackedAttention
{
    private static readonly TensorShape Qkv = ["B", "T", "(H+2G)*K"], Output = ["B", "T", "H*K"];

    internal static Function Forward { get; } = new()
    {
        Name = "PackedAttention",
        Inputs = [new("qkv", Qkv)],
        Outputs = ["o", "lse"],
        Attributes = [("heads", 1), ("kv_heads", 1)],
        Infer = (inputs, attributes) =>
        {
            var (qkv, heads, all) = (inputs[0].Shape, attributes.Int("heads"), attributes.Int("heads") + 2 * attributes.Int("kv_heads"));
            if (qkv.Rank != 3 || (qkv.IsKnown && qkv[2].Value % all != 0)) throw new GraphException($"PackedAttention with {all} heads in all cannot take {qkv}.");
            return [(inputs[0].Type, qkv.IsKnown ? qkv.With(-1, qkv[2].Value / all * heads) : Output), (inputs[0].Type, [qkv[0], heads, qkv[1]])];
        },
        Body = (g, inputs) =>
        {
            var (q, k, v) = Apart(g, inputs[0]);
            return [.. g.Emit("CausalAttention", [q, k, v], [(q.Type, Output), (q.Type, ["B", "H", "T"])], Heads(), Function.Domain, CausalAttention.Forward)];
        },
    };

    internal static Function Backward { get; } = new()
    {
        Name = "PackedAttentionGrad",
        Inputs = [new("do", Output), new("qkv", Qkv), new("o", Output), new("lse", ["B", "H", "T"])],
        Outputs = ["dqkv"],
        Attributes = [("heads", 1), ("kv_heads", 1)],
        Infer = (inputs, _) => [(inputs[1].Type, inputs[1].Shape)],
        Body = (g, inputs) =>
        {
            var (q, k, v) = Apart(g, inputs[1]);
            var gradients = g.Emit(
                "CausalAttentionGrad", [inputs[0], q, k, v, inputs[2], inputs[3]], [(q.Type, q.Shape), (k.Type, k.Shape), (v.Type, v.Shape)], Heads(), Function.Domain,
                CausalAttention.Backward);
            return [g.Emit("Concat", [.. gradients], q.Type, Qkv, ("axis", -1))];
        },
    };

    /// <summary>The attributes of the function inside are those of the one outside.</summary>
    private static Attributes Heads() => new(("heads", AttributeValue.Reference("heads", 0)), ("kv_heads", AttributeValue.Reference("kv_heads", 0)));

    private static (Value Q, Value K, Value V) Apart(GraphBuilder g, Value qkv)
    {
        var (heads, groups) = (g.IntAttribute("heads"), g.IntAttribute("kv_heads"));
        var size = g.Div(g.ExtentOf(qkv, 2), heads + groups + groups);
        var (queries, keys) = (heads * size, groups * size);
        TensorShape narrow = ["B", "T", "G*K"];
        var parts = g.Emit("Split", [qkv, g.Concat(0, queries, keys, keys)], [(qkv.Type, Output), (qkv.Type, narrow), (qkv.Type, narrow)], new Attributes(("axis", -1)));
        return (parts[0], parts[1], parts[2]);
    }
}
