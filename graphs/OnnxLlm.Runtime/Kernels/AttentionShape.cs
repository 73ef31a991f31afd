namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Sizes of causal attention: B sequences of T positions, H query heads over G key/value heads, K floats per head. A tensor of heads is [B, T, heads*K],
/// so one head is a matrix of T rows with a stride of heads*K floats; kernels read and write it there, without a layout copy.
/// </summary>
internal readonly record struct AttentionShape(long B, long T, long H, long G, long K)
{
    internal float Scale => 1 / MathF.Sqrt(K);

    /// <summary>Query heads that share a key/value head.</summary>
    internal long Group => H / G;

    internal long QueryStride => H * K;

    internal long KeyStride => G * K;

    /// <summary>First float of a query head.</summary>
    internal long Query(long batch, long head) => (batch * T * H + head) * K;

    /// <summary>First float of a key/value head.</summary>
    internal long Key(long batch, long head) => (batch * T * G + head) * K;

    /// <summary>First log-sum-exp of a query head; they are [B, H, T].</summary>
    internal long Lse(long batch, long head) => (batch * H + head) * T;

    /// <summary>Sizes from the attributes heads and kv_heads and from the shapes of q and k, which must agree.</summary>
    internal static unsafe AttentionShape Of(ref KernelContext context, in KernelTensor q, in KernelTensor k)
    {
        long heads = context.Integer(0), keyHeads = context.Integer(1);
        if (q.Rank != 3 || heads <= 0 || keyHeads <= 0 || heads % keyHeads != 0 || q.Width % heads != 0)
            throw new ModelRuntimeException($"q must be [B, T, heads*K]; it has {q.Rank} dimensions, the last {q.Width}, with {heads} heads over {keyHeads}");
        var shape = new AttentionShape(q.Shape[0], q.Shape[1], heads, keyHeads, q.Width / heads);
        if (k.Rank != 3 || k.Shape[0] != shape.B || k.Shape[1] != shape.T || k.Shape[2] != shape.KeyStride)
            throw new ModelRuntimeException($"k must be [{shape.B}, {shape.T}, {shape.KeyStride}]; it has {k.Rank} dimensions, the last {k.Width}");
        return shape;
    }
}
