namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Sizes of causal attention: B sequences of T positions, H query heads over G key/value heads, K floats per head. A tensor of heads is [B, T, heads*K],
/// so one head is a matrix of T rows with a stride of heads*K floats; kernels read and write it there, without a layout copy. Queries, keys and values
/// may also lie side by side in one tensor [B, T, (H + 2G)*K].
/// </summary>
internal readonly record struct AttentionShape(long B, long T, long H, long G, long K, bool Packed = false)
{
    internal float Scale => 1 / MathF.Sqrt(K);

    /// <summary>Query heads that share a key/value head.</summary>
    internal long Group => H / G;

    internal long QueryStride => Packed ? PackedStride : OutputStride;

    internal long KeyStride => Packed ? PackedStride : G * K;

    internal long OutputStride => H * K;

    private long PackedStride => (H + 2 * G) * K;

    /// <summary>First float of a query head.</summary>
    internal long Query(long batch, long head) => batch * T * QueryStride + head * K;

    /// <summary>First float of a key/value head.</summary>
    internal long Key(long batch, long head) => batch * T * KeyStride + head * K;

    /// <summary>First float of a head of the output.</summary>
    internal long Output(long batch, long head) => batch * T * OutputStride + head * K;

    /// <summary>First log-sum-exp of a query head; they are [B, H, T].</summary>
    internal long Lse(long batch, long head) => (batch * H + head) * T;

    /// <summary>Sizes from the attributes heads and kv_heads and from the shapes of q and k, which must agree.</summary>
    internal static unsafe AttentionShape Of(ref KernelContext context, in KernelTensor q, in KernelTensor k)
    {
        var (heads, keyHeads) = Heads(ref context);
        if (q.Rank != 3 || q.Width % heads != 0)
            throw new ModelRuntimeException($"q must be [B, T, heads*K]; it has {q.Rank} dimensions, the last {q.Width}, with {heads} heads over {keyHeads}");
        var shape = new AttentionShape(q.Shape[0], q.Shape[1], heads, keyHeads, q.Width / heads);
        if (k.Rank != 3 || k.Shape[0] != shape.B || k.Shape[1] != shape.T || k.Shape[2] != shape.KeyStride)
            throw new ModelRuntimeException($"k must be [{shape.B}, {shape.T}, {shape.KeyStride}]; it has {k.Rank} dimensions, the last {k.Width}");
        return shape;
    }

    /// <summary>Sizes from the attributes and from the tensor of queries, keys and values.</summary>
    internal static unsafe AttentionShape OfPacked(ref KernelContext context, in KernelTensor qkv)
    {
        var (heads, keyHeads) = Heads(ref context);
        long all = heads + 2 * keyHeads;
        return qkv.Rank == 3 && qkv.Width % all == 0
            ? new AttentionShape(qkv.Shape[0], qkv.Shape[1], heads, keyHeads, qkv.Width / all, Packed: true)
            : throw new ModelRuntimeException($"qkv must be [B, T, {all}*K]; it has {qkv.Rank} dimensions, the last {qkv.Width}");
    }

    private static (long Heads, long KeyHeads) Heads(ref KernelContext context)
    {
        long heads = context.Integer(0), keyHeads = context.Integer(1);
        return heads > 0 && keyHeads > 0 && heads % keyHeads == 0
            ? (heads, keyHeads)
            : throw new ModelRuntimeException($"there cannot be {heads} heads over {keyHeads}");
    }
}
