namespace OnnxLlm.Graphs.Cuda;

/// <summary>The small functions in operators of the CUDA provider: one kernel each where there is one.</summary>
internal static class CudaParts
{
    /// <summary>The normalised values, and per row the statistics that a backward pass wants, which are float32 whatever x is.</summary>
    public static Value[] Norm(GraphBuilder g, Node n, IReadOnlyList<Value> inputs, string op)
    {
        var outputs = n.Outputs.Select((y, i) => (i == 0 ? y.Type : ElementType.Float, y.Shape));
        return [.. g.Emit(op, [.. inputs], [.. outputs], new Attributes(("axis", -1), ("epsilon", n.Attributes.Float("epsilon"))))];
    }

    /// <summary>The first position is 0.</summary>
    public static Value[] RotaryEmbedding(GraphBuilder g, Node n, IReadOnlyList<Value> inputs) =>
        [g.EmitMicrosoft("RotaryEmbedding", [inputs[0], g.Int64s(0), inputs[1], inputs[2]], inputs[0].Type, inputs[0].Shape, ("num_heads", n.Attributes.Int("heads")))];

    /// <summary>
    /// Atomic additions, so in float32 only and in no fixed order. On the CPU this operator loses updates when threads meet at a row (see the function).
    /// </summary>
    public static Value ScatterAddRows(GraphBuilder g, Value into, Value ids, Value rows) => into.Type == ElementType.Float
        ? g.Emit("ScatterND", [into, g.Unsqueeze(ids, -1), rows], into.Type, into.Shape, ("reduction", "add"))
        : throw new GraphException($"The CUDA provider adds rows in float32 only, not in {into.Type}.");

    /// <summary>The largest element. ReduceMax needs cuDNN.</summary>
    public static Value Max(GraphBuilder g, Value x)
    {
        var rows = Top(g, g.Flatten(x, -1));    // [N, 1]
        return g.Reshape(Top(g, g.Reshape(rows, [1, rows.Shape[0]])), []);
    }

    private static Value Top(GraphBuilder g, Value x) =>
        g.Emit("TopK", [x, g.Int64s(1)], [(x.Type, x.Shape.With(-1, 1)), (ElementType.Int64, x.Shape.With(-1, 1))])[0];
}
