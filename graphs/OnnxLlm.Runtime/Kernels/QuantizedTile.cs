using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// A group of activations times some rows of 8-bit weights. Weights are widened to 16 bits, products are added in pairs, the 32 of a chunk in integers, then
/// scaled and added in single precision. Accumulators are separate locals because the compiler keeps those, and no array, in registers.
/// Every sum runs in the same order in all forms, so a result does not depend on the size of its group.
/// </summary>
internal static unsafe class QuantizedTile
{
    /// <summary>Weights, and activations of each row, that are taken at once; and rows of weights in the form that takes most of them.</summary>
    internal const int Chunk = 32, Rows = 4;

    private const int Half = Chunk / 2;

    /// <summary>
    /// Bytes between the weights that are used and those that are asked for. Rows are read one after the other, as they lie in memory: four at a time, a third
    /// of the bandwidth was reached (5 of 17 GB/s on one core of AMD Zen 3), since the processor's own prefetching followed none of them.
    /// </summary>
    private const int Ahead = 2048;

    /// <summary>Results of a group for the rows of weights from <paramref name="first"/> to <paramref name="end"/>.</summary>
    internal static void Multiply(QuantizedArguments* x, long group, long first, long end)
    {
        (long row, long count) = QuantizedActivations.Group(x->M, group);
        long step = count == 8 ? 1 : count == 4 ? 2 : Rows;
        short* a = x->Packed + row * x->Padded;
        float* sums = stackalloc float[8];
        for (long n = first; n < end; n += step)
        {
            long many = Math.Min(step, end - n);
            Vector256<float> result = count switch
            {
                8 => Eight(x, n, a),
                4 => Four(x, n, many, a),
                2 => Two(x, n, many, a),
                _ => One(x, n, many, a),
            };
            Avx.Store(sums, result);
            for (long j = 0; j < many; j++)
                for (long i = 0; i < count; i++) x->Y[(row + i) * x->N + n + j] = sums[j * count + i] * x->RowScales[row + i];
        }
    }

    /// <summary>One row of weights, eight of activations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector256<float> Eight(QuantizedArguments* x, long n, short* a)
    {
        byte* w = x->Values + n * x->Padded;
        float* scales = x->Scales + n * x->Blocks;
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (float* end = scales + x->Blocks; scales < end; scales++)
            for (byte* last = w + x->Block; w < last; w += Chunk, a += 8 * Chunk)
            {
                Sse.Prefetch0(w + Ahead);
                Vector256<float> scale = Avx.BroadcastScalarToVector256(scales);
                Vector256<short> low = Widen(w), high = Widen(w + Half);
                s0 = Add(s0, low, high, a, scale);
                s1 = Add(s1, low, high, a + Chunk, scale);
                s2 = Add(s2, low, high, a + 2 * Chunk, scale);
                s3 = Add(s3, low, high, a + 3 * Chunk, scale);
                s4 = Add(s4, low, high, a + 4 * Chunk, scale);
                s5 = Add(s5, low, high, a + 5 * Chunk, scale);
                s6 = Add(s6, low, high, a + 6 * Chunk, scale);
                s7 = Add(s7, low, high, a + 7 * Chunk, scale);
            }
        return Sums(s0, s1, s2, s3, s4, s5, s6, s7);
    }

    /// <summary>Two rows of weights (or one), four of activations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector256<float> Four(QuantizedArguments* x, long n, long many, short* a)
    {
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
        Four(x, n, a, ref s0, ref s1, ref s2, ref s3);
        if (many > 1) Four(x, n + 1, a, ref t0, ref t1, ref t2, ref t3);
        return Sums(s0, s1, s2, s3, t0, t1, t2, t3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(QuantizedArguments* x, long n, short* a, ref Vector256<float> sum0, ref Vector256<float> sum1, ref Vector256<float> sum2, ref Vector256<float> sum3)
    {
        byte* w = x->Values + n * x->Padded;
        float* scales = x->Scales + n * x->Blocks;
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (float* end = scales + x->Blocks; scales < end; scales++)
            for (byte* last = w + x->Block; w < last; w += Chunk, a += 4 * Chunk)
            {
                Sse.Prefetch0(w + Ahead);
                Vector256<float> scale = Avx.BroadcastScalarToVector256(scales);
                Vector256<short> low = Widen(w), high = Widen(w + Half);
                s0 = Add(s0, low, high, a, scale);
                s1 = Add(s1, low, high, a + Chunk, scale);
                s2 = Add(s2, low, high, a + 2 * Chunk, scale);
                s3 = Add(s3, low, high, a + 3 * Chunk, scale);
            }
        (sum0, sum1, sum2, sum3) = (s0, s1, s2, s3);
    }

    /// <summary>Up to four rows of weights, two of activations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector256<float> Two(QuantizedArguments* x, long n, long many, short* a)
    {
        Vector256<float> s0 = default, s1 = default, t0 = default, t1 = default, u0 = default, u1 = default, v0 = default, v1 = default;
        Two(x, n, a, ref s0, ref s1);
        if (many > 1) Two(x, n + 1, a, ref t0, ref t1);
        if (many > 2) Two(x, n + 2, a, ref u0, ref u1);
        if (many > 3) Two(x, n + 3, a, ref v0, ref v1);
        return Sums(s0, s1, t0, t1, u0, u1, v0, v1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Two(QuantizedArguments* x, long n, short* a, ref Vector256<float> sum0, ref Vector256<float> sum1)
    {
        byte* w = x->Values + n * x->Padded;
        float* scales = x->Scales + n * x->Blocks;
        Vector256<float> s0 = default, s1 = default;
        for (float* end = scales + x->Blocks; scales < end; scales++)
            for (byte* last = w + x->Block; w < last; w += Chunk, a += 2 * Chunk)
            {
                Sse.Prefetch0(w + Ahead);
                Vector256<float> scale = Avx.BroadcastScalarToVector256(scales);
                Vector256<short> low = Widen(w), high = Widen(w + Half);
                s0 = Add(s0, low, high, a, scale);
                s1 = Add(s1, low, high, a + Chunk, scale);
            }
        (sum0, sum1) = (s0, s1);
    }

    /// <summary>Up to four rows of weights, one of activations.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector256<float> One(QuantizedArguments* x, long n, long many, short* a) => Sums(
        One(x, n, a), many > 1 ? One(x, n + 1, a) : default, many > 2 ? One(x, n + 2, a) : default, many > 3 ? One(x, n + 3, a) : default, default, default, default, default);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> One(QuantizedArguments* x, long n, short* a)
    {
        byte* w = x->Values + n * x->Padded;
        float* scales = x->Scales + n * x->Blocks;
        Vector256<float> sum = default;
        for (float* end = scales + x->Blocks; scales < end; scales++)
            for (byte* last = w + x->Block; w < last; w += Chunk, a += Chunk)
            {
                Sse.Prefetch0(w + Ahead);
                sum = Add(sum, Widen(w), Widen(w + Half), a, Avx.BroadcastScalarToVector256(scales));
            }
        return sum;
    }

    /// <summary>16 weights as signed numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Widen(byte* weights) => Avx2.ConvertToVector256Int16(weights) - Vector256.Create((short)128);

    /// <summary>sum + scale · the products of a chunk. A pair of products is below 2²³, all of a lane below 2²⁵.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Add(Vector256<float> sum, Vector256<short> low, Vector256<short> high, short* a, Vector256<float> scale) => Fma.MultiplyAdd(
        Avx.ConvertToVector256Single(Avx2.MultiplyAddAdjacent(low, Avx.LoadVector256(a)) + Avx2.MultiplyAddAdjacent(high, Avx.LoadVector256(a + Half))), scale, sum);

    /// <summary>The sum of the lanes of each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Sums(
        Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d, Vector256<float> e, Vector256<float> f, Vector256<float> g, Vector256<float> h)
    {
        Vector256<float> left = Avx.HorizontalAdd(Avx.HorizontalAdd(a, b), Avx.HorizontalAdd(c, d)), right = Avx.HorizontalAdd(Avx.HorizontalAdd(e, f), Avx.HorizontalAdd(g, h));
        return Avx.Permute2x128(left, right, 0x20) + Avx.Permute2x128(left, right, 0x31);
    }
}
