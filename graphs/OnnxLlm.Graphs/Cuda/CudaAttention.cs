namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// Causal attention on the CUDA provider. Forward is the standard operator, one FlashAttention-2 kernel in 16 bits. No operator gives the log-sum-exp that
/// a backward pass would want, so it takes the queries block by block, computes the softmax of a block again from all the keys that it sees, and holds no
/// T × T matrix. B batch, T time, G key/value heads, R query heads of each, K head size, Q queries of a block, S keys that they see.
/// </summary>
internal static class CudaAttention
{
    /// <summary>The aim for Q: large enough for products that fill the device, small enough that a block's scores are a fraction of T × T.</summary>
    internal const int QueriesOfBlock = 256;

    /// <summary>Split and Concat stage the addresses of more parts through the host.</summary>
    private const int MostBlocks = 32;

    public static Value[] Forward(GraphBuilder g, Node n, IReadOnlyList<Value> inputs)
    {
        var sizes = Sizes.Of(n, inputs[0]);
        var (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        long groups = sizes.Groups;

        // In float32 only equal numbers of heads have a kernel that keeps no T × T matrix.
        if (q.Type == ElementType.Float && sizes.Ratio > 1) (k, v, groups) = (Repeat(g, k, sizes), Repeat(g, v, sizes), sizes.Heads);
        var o = g.Emit("Attention", [q, k, v], q.Type, q.Shape, ("is_causal", 1), ("q_num_heads", sizes.Heads), ("kv_num_heads", groups));

        // Nobody reads the second, the log-sum-exp.
        return [o, g.Zeros(n.Outputs[1].Shape, q)];
    }

    /// <summary>A length that cannot be cut is made longer by zeros: no query of the text sees those keys, and those queries have no gradient to give.</summary>
    public static Value[] Backward(GraphBuilder g, Node n, IReadOnlyList<Value> inputs)
    {
        var sizes = Sizes.Of(n, inputs[1]);
        var (time, blocks) = Cuts(sizes.Time);
        if (time == sizes.Time) return Backward(g, sizes, blocks, inputs);
        var longer = Backward(g, sizes with { Time = time }, blocks, [.. inputs.Take(5).Select(x => Lengthened(g, x, time))]);
        return [.. longer.Select(x => g.Slice(x, 1, 0, sizes.Time))];
    }

    private static Value[] Backward(GraphBuilder g, Sizes sizes, long blocks, IReadOnlyList<Value> inputs)
    {
        var (dout, q, k, v) = (Queries(g, inputs[0], sizes, blocks), Queries(g, inputs[1], sizes, blocks), Keys(g, inputs[2], sizes), Keys(g, inputs[3], sizes));
        var along = Along(g, inputs[0], inputs[4], sizes, blocks);
        var parts = Enumerable.Range(0, (int)blocks).Select(i => Block(g, sizes, blocks, i, dout[i], q[i], k, v, along[i])).ToArray();
        return
        [
            MergeQueries(g, [.. parts.Select(p => p.Dq)], sizes),
            MergeKeys(g, Sum(g, [.. parts.Select(p => p.Dk)]), sizes),
            MergeKeys(g, Sum(g, [.. parts.Select(p => p.Dv)]), sizes),
        ];
    }

    /// <summary>
    /// The length to work with and its number of equal blocks: as few as the aim allows, where that is not more than can be joined. Where no such number
    /// divides the length, it is made a little longer.
    /// </summary>
    internal static (long Time, long Blocks) Cuts(long time)
    {
        long fewest = Math.Min(MostBlocks, (time + QueriesOfBlock - 1) / QueriesOfBlock);
        for (long n = fewest; n <= MostBlocks; n++)
            if (time % n == 0) return (time, n);
        return ((time + fewest - 1) / fewest * fewest, fewest);
    }

    /// <summary>[B, T, C] with zeros behind it. The provider pads no bfloat16.</summary>
    private static Value Lengthened(GraphBuilder g, Value x, long time) => x.Type == ElementType.BFloat16
        ? g.Cast(Lengthened(g, g.Cast(x, ElementType.Float), time), x.Type)
        : g.Pad(x, 1, 0, time - x.Shape[1].Value);

    /// <summary>
    /// P = softmax(mask(q·kᵀ/√K)), dP = do·vᵀ, dS = P∘(dP − D); dq = dS·k/√K, dk = dSᵀ·q/√K, dv = Pᵀ·do (Dao et al., 2022, section B.2).
    /// What flows to keys, [B, G, S, K], comes cut into blocks.
    /// </summary>
    private static (Value Dq, Value[] Dk, Value[] Dv) Block(
        GraphBuilder g, Sizes sizes, long blocks, int index, Value dout, Value q, Value allKeys, Value allValues, Value along)
    {
        long queries = sizes.Time / blocks, seen = queries * (index + 1);
        var (k, v) = (Prefix(g, allKeys, seen), Prefix(g, allValues, seen));    // [B, G, S, K]
        var p = g.Softmax(Masked(g, Product(g, q, k, sizes.Scale, transposeB: true), sizes, queries, seen));    // [B, G, R*Q, S]
        var ds = p * (Product(g, dout, v, transposeB: true) - along);
        return (Product(g, ds, k, sizes.Scale), Cut(g, Product(g, ds, q, sizes.Scale, transposeA: true), index + 1), Cut(g, Product(g, p, dout, transposeA: true), index + 1));
    }

    /// <summary>The queries of the block are the last of the keys that they see.</summary>
    private static Value Masked(GraphBuilder g, Value scores, Sizes sizes, long queries, long seen)
    {
        bool[] visible = new bool[queries * seen];
        for (long row = 0; row < queries; row++) visible.AsSpan((int)(row * seen), (int)(seen - queries + row + 1)).Fill(true);
        var mask = g.Constant(TensorData.Of<bool>(ElementType.Bool, [queries, seen], visible));
        var apart = g.Reshape(scores, [sizes.Batch, sizes.Groups, sizes.Ratio, queries, seen]);
        return g.Reshape(g.Where(mask, apart, g.Scalar(double.NegativeInfinity, scores)), scores.Shape);
    }

    /// <summary>D = Σ do∘o of each query, which is Σ P∘dP: [B, G, R*Q, 1] of each block.</summary>
    private static Value[] Along(GraphBuilder g, Value dout, Value o, Sizes sizes, long blocks)
    {
        var products = g.Reshape(dout * o, [sizes.Batch, sizes.Time, sizes.Heads, sizes.Size]);
        var sums = g.ReduceSum(products, keepDimensions: true, -1);    // [B, T, H, 1]
        return Queries(g, g.Reshape(sums, [sizes.Batch, sizes.Time, sizes.Heads]), sizes with { Size = 1 }, blocks);
    }

    /// <summary>[B, T, H*K] → [B, G, R*Q, K] of each block.</summary>
    private static Value[] Queries(GraphBuilder g, Value x, Sizes sizes, long blocks)
    {
        var heads = g.Transpose(g.Reshape(x, [sizes.Batch, sizes.Time, sizes.Groups, sizes.Ratio, sizes.Size]), 0, 2, 3, 1, 4);    // [B, G, R, T, K]
        return [.. Cut(g, heads, blocks).Select(block => g.Reshape(block, [sizes.Batch, sizes.Groups, sizes.Ratio * sizes.Time / blocks, sizes.Size]))];
    }

    /// <summary>Undoes <see cref="Queries"/>.</summary>
    private static Value MergeQueries(GraphBuilder g, Value[] blocks, Sizes sizes)
    {
        var apart = blocks.Select(b => g.Reshape(b, [sizes.Batch, sizes.Groups, sizes.Ratio, sizes.Time / blocks.Length, sizes.Size]));
        return g.Reshape(g.Transpose(Joined(g, [.. apart]), 0, 3, 1, 2, 4), [sizes.Batch, sizes.Time, sizes.Heads * sizes.Size]);
    }

    /// <summary>[B, T, G*K] → [B, G, T, K].</summary>
    private static Value Keys(GraphBuilder g, Value x, Sizes sizes) =>
        g.Transpose(g.Reshape(x, [sizes.Batch, sizes.Time, sizes.Groups, sizes.Size]), 0, 2, 1, 3);

    private static Value MergeKeys(GraphBuilder g, Value x, Sizes sizes) =>
        g.Reshape(g.Transpose(x, 0, 2, 1, 3), [sizes.Batch, sizes.Time, sizes.Groups * sizes.Size]);

    /// <summary>Key block j gets something from every block of queries from j on.</summary>
    private static Value Sum(GraphBuilder g, Value[][] parts) =>
        Joined(g, [.. Enumerable.Range(0, parts.Length).Select(j => g.Sum([.. parts.Skip(j).Select(p => p[j])]))]);

    private static Value Joined(GraphBuilder g, Value[] blocks) => blocks.Length == 1 ? blocks[0] : g.Concat(-2, [.. blocks]);

    /// <summary>Equal parts along the last axis but one.</summary>
    private static Value[] Cut(GraphBuilder g, Value x, long parts)
    {
        if (parts == 1) return [x];
        var shape = x.Shape.With(-2, x.Shape[x.Rank - 2].Value / parts);
        return [.. g.Emit("Split", [x], [.. Enumerable.Repeat((x.Type, shape), (int)parts)], new Attributes(("axis", -2), ("num_outputs", parts)))];
    }

    private static Value Prefix(GraphBuilder g, Value x, long length) => x.Shape[2] == length ? x : g.Slice(x, 2, 0, length);

    /// <summary>alpha · op(a)·op(b) of the last two axes, in one kernel.</summary>
    private static Value Product(GraphBuilder g, Value a, Value b, double alpha = 1, bool transposeA = false, bool transposeB = false) => g.EmitMicrosoft(
        "FusedMatMul", [a, b], a.Type, [.. a.Shape[..2], a.Shape[transposeA ? 3 : 2], b.Shape[transposeB ? 2 : 3]],
        ("alpha", (float)alpha), ("transA", transposeA ? 1 : 0), ("transB", transposeB ? 1 : 0));

    /// <summary>Every key head once for each of its query heads.</summary>
    private static Value Repeat(GraphBuilder g, Value x, Sizes sizes)
    {
        var apart = g.Reshape(x, [sizes.Batch, sizes.Time, sizes.Groups, 1, sizes.Size]);
        return g.Reshape(g.Expand(apart, [sizes.Batch, sizes.Time, sizes.Groups, sizes.Ratio, sizes.Size]), [sizes.Batch, sizes.Time, sizes.Heads * sizes.Size]);
    }

    private sealed record Sizes(long Batch, long Time, long Heads, long Groups, long Size)
    {
        public long Ratio => Heads / Groups;

        public double Scale => 1 / Math.Sqrt(Size);

        public static Sizes Of(Node n, Value q)
        {
            long heads = n.Attributes.Int("heads");
            return new(q.Shape[0].Value, q.Shape[1].Value, heads, n.Attributes.Int("kv_heads"), q.Shape[2].Value / heads);
        }
    }
}
