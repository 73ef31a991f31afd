using System.Runtime.InteropServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Attention one query at a time, for machines without AVX-512: a row of scores is a sum of rows of kᵀ, an output row a sum of rows of v,
/// so everything is "add a multiple of a row". Right for every shape.
/// </summary>
internal static unsafe class PlainAttention
{
    internal static void Forward<T>(CausalAttention.Arguments* arguments, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        float* scratch = Scratch.Rent(shape.T * (shape.K + 1)), transposed = scratch, scores = scratch + shape.T * shape.K;
        float* v = arguments->V + shape.Key(batch, head / shape.Group), lse = arguments->Lse + shape.Lse(batch, head);
        Transpose(arguments->K + shape.Key(batch, head / shape.Group), shape, transposed);
        for (long t = 0; t < shape.T; t++)
        {
            long row = shape.Query(batch, head) + t * shape.QueryStride;
            Products<T>(arguments->Q + row, shape.Scale, transposed, shape, scores, t + 1);
            float largest = RowMath.Largest<T>(scores, t + 1);
            float sum = RowMath.SumOfExponentials<T>(scores, largest, scores, t + 1);
            lse[t] = largest + MathF.Log(sum);
            NativeMemory.Clear(arguments->O + row, (nuint)(shape.K * sizeof(float)));
            for (long s = 0; s <= t; s++) RowMath.AddScaled<T>(v + s * shape.KeyStride, scores[s] / sum, arguments->O + row, shape.K);
        }
        Scratch.Return(scratch);
    }

    internal static void Backward<T>(CausalAttentionGrad.Arguments* arguments, long batch, long head) where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        float* scratch = Scratch.Rent(2 * shape.T * (shape.K + 1));
        Rows rows = new() { Keys = scratch, Values = scratch + shape.T * shape.K, Weights = scratch + 2 * shape.T * shape.K };
        rows.Gradients = rows.Weights + shape.T;
        long key = shape.Key(batch, head);
        Transpose(arguments->K + key, shape, rows.Keys);
        Transpose(arguments->V + key, shape, rows.Values);
        for (long s = 0; s < shape.T; s++)
        {
            NativeMemory.Clear(arguments->Dk + key + s * shape.KeyStride, (nuint)(shape.K * sizeof(float)));
            NativeMemory.Clear(arguments->Dv + key + s * shape.KeyStride, (nuint)(shape.K * sizeof(float)));
        }
        for (long query = head * shape.Group; query < (head + 1) * shape.Group; query++)
            for (long t = 0; t < shape.T; t++)
                Backward<T>(arguments, rows, key, shape.Query(batch, query) + t * shape.QueryStride, arguments->Lse[shape.Lse(batch, query) + t], t + 1);
        Scratch.Return(scratch);
    }

    /// <summary>Scratch of a key/value head: k and v transposed, and one query's weights and score gradients.</summary>
    private struct Rows
    {
        internal float* Keys, Values, Weights, Gradients;
    }

    /// <summary>One query, which sees <paramref name="count"/> keys.</summary>
    private static void Backward<T>(CausalAttentionGrad.Arguments* arguments, in Rows rows, long key, long query, float lse, long count)
        where T : unmanaged, ILanes<T>
    {
        AttentionShape shape = arguments->Shape;
        float* q = arguments->Q + query, output = arguments->Do + query, dq = arguments->Dq + query;
        Products<T>(q, shape.Scale, rows.Keys, shape, rows.Weights, count);
        RowMath.SumOfExponentials<T>(rows.Weights, lse, rows.Weights, count);
        Products<T>(output, 1, rows.Values, shape, rows.Gradients, count);
        float along = RowMath.Dot<T>(output, arguments->O + query, shape.K);
        NativeMemory.Clear(dq, (nuint)(shape.K * sizeof(float)));
        for (long s = 0; s < count; s++)
        {
            float gradient = rows.Weights[s] * (rows.Gradients[s] - along) * shape.Scale;
            long row = key + s * shape.KeyStride;
            RowMath.AddScaled<T>(arguments->K + row, gradient, dq, shape.K);
            RowMath.AddScaled<T>(q, gradient, arguments->Dk + row, shape.K);
            RowMath.AddScaled<T>(output, rows.Weights[s], arguments->Dv + row, shape.K);
        }
    }

    /// <summary>products[s] = scale·x·(row s of a matrix), from the transposed matrix [K, T].</summary>
    private static void Products<T>(float* x, float scale, float* transposed, in AttentionShape shape, float* products, long count)
        where T : unmanaged, ILanes<T>
    {
        NativeMemory.Clear(products, (nuint)(count * sizeof(float)));
        for (long c = 0; c < shape.K; c++) RowMath.AddScaled<T>(transposed + c * shape.T, x[c] * scale, products, count);
    }

    private static void Transpose(float* rows, in AttentionShape shape, float* transposed)
    {
        for (long t = 0; t < shape.T; t++)
            for (long c = 0; c < shape.K; c++)
                transposed[c * shape.T + t] = rows[t * shape.KeyStride + c];
    }
}
