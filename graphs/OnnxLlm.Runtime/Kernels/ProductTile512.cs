using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The tile of <see cref="ProductTile"/> for AVX-512, C[12 x 32] = start + A[12 x depth]·B[depth x 32]: 24 accumulators of its 32 registers, so that a panel of B is
/// read half as often.
/// </summary>
internal static unsafe class ProductTile512
{
    internal const int Rows = 12;

    /// <summary>As <see cref="ProductTile.Multiply"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Multiply(long depth, float* a, long rowStride, long stepStride, float* b, float* start, long startStride, float* c, long cStride, TileAhead* ahead)
    {
        const int half = 16;
        float* a1 = a + rowStride, a2 = a1 + rowStride, a3 = a2 + rowStride, a4 = a3 + rowStride, a5 = a4 + rowStride;
        float* a6 = a5 + rowStride, a7 = a6 + rowStride, a8 = a7 + rowStride, a9 = a8 + rowStride, a10 = a9 + rowStride, a11 = a10 + rowStride;
        Lanes512 c0a, c0b, c1a, c1b, c2a, c2b, c3a, c3b, c4a, c4b, c5a, c5b, c6a, c6b, c7a, c7b, c8a, c8b, c9a, c9b, c10a, c10b, c11a, c11b;
        c0a = c0b = c1a = c1b = c2a = c2b = c3a = c3b = c4a = c4b = c5a = c5b = c6a = c6b = c7a = c7b = c8a = c8b = c9a = c9b = c10a = c10b = c11a = c11b = Lanes512.All(0);
        long end = depth * stepStride;
        for (long step = 0; step < end;)
        {
            TileAhead.Ask(ahead);
            for (long stop = Math.Min(end, step + ProductTile.StepsPerAsk * stepStride); step < stop; step += stepStride)
            {
                Lanes512 left = Lanes512.Load(b), right = Lanes512.Load(b + half), x = Lanes512.All(a[step]);
                b += 2 * half;
                c0a = Lanes512.MultiplyAdd(x, left, c0a);
                c0b = Lanes512.MultiplyAdd(x, right, c0b);
                x = Lanes512.All(a1[step]);
                c1a = Lanes512.MultiplyAdd(x, left, c1a);
                c1b = Lanes512.MultiplyAdd(x, right, c1b);
                x = Lanes512.All(a2[step]);
                c2a = Lanes512.MultiplyAdd(x, left, c2a);
                c2b = Lanes512.MultiplyAdd(x, right, c2b);
                x = Lanes512.All(a3[step]);
                c3a = Lanes512.MultiplyAdd(x, left, c3a);
                c3b = Lanes512.MultiplyAdd(x, right, c3b);
                x = Lanes512.All(a4[step]);
                c4a = Lanes512.MultiplyAdd(x, left, c4a);
                c4b = Lanes512.MultiplyAdd(x, right, c4b);
                x = Lanes512.All(a5[step]);
                c5a = Lanes512.MultiplyAdd(x, left, c5a);
                c5b = Lanes512.MultiplyAdd(x, right, c5b);
                x = Lanes512.All(a6[step]);
                c6a = Lanes512.MultiplyAdd(x, left, c6a);
                c6b = Lanes512.MultiplyAdd(x, right, c6b);
                x = Lanes512.All(a7[step]);
                c7a = Lanes512.MultiplyAdd(x, left, c7a);
                c7b = Lanes512.MultiplyAdd(x, right, c7b);
                x = Lanes512.All(a8[step]);
                c8a = Lanes512.MultiplyAdd(x, left, c8a);
                c8b = Lanes512.MultiplyAdd(x, right, c8b);
                x = Lanes512.All(a9[step]);
                c9a = Lanes512.MultiplyAdd(x, left, c9a);
                c9b = Lanes512.MultiplyAdd(x, right, c9b);
                x = Lanes512.All(a10[step]);
                c10a = Lanes512.MultiplyAdd(x, left, c10a);
                c10b = Lanes512.MultiplyAdd(x, right, c10b);
                x = Lanes512.All(a11[step]);
                c11a = Lanes512.MultiplyAdd(x, left, c11a);
                c11b = Lanes512.MultiplyAdd(x, right, c11b);
            }
        }
        if (start != null)
        {
            c0a += Lanes512.Load(start);
            c0b += Lanes512.Load(start + half);
            start += startStride;
            c1a += Lanes512.Load(start);
            c1b += Lanes512.Load(start + half);
            start += startStride;
            c2a += Lanes512.Load(start);
            c2b += Lanes512.Load(start + half);
            start += startStride;
            c3a += Lanes512.Load(start);
            c3b += Lanes512.Load(start + half);
            start += startStride;
            c4a += Lanes512.Load(start);
            c4b += Lanes512.Load(start + half);
            start += startStride;
            c5a += Lanes512.Load(start);
            c5b += Lanes512.Load(start + half);
            start += startStride;
            c6a += Lanes512.Load(start);
            c6b += Lanes512.Load(start + half);
            start += startStride;
            c7a += Lanes512.Load(start);
            c7b += Lanes512.Load(start + half);
            start += startStride;
            c8a += Lanes512.Load(start);
            c8b += Lanes512.Load(start + half);
            start += startStride;
            c9a += Lanes512.Load(start);
            c9b += Lanes512.Load(start + half);
            start += startStride;
            c10a += Lanes512.Load(start);
            c10b += Lanes512.Load(start + half);
            start += startStride;
            c11a += Lanes512.Load(start);
            c11b += Lanes512.Load(start + half);
        }
        Lanes512.Store(c0a, c);
        Lanes512.Store(c0b, c + half);
        c += cStride;
        Lanes512.Store(c1a, c);
        Lanes512.Store(c1b, c + half);
        c += cStride;
        Lanes512.Store(c2a, c);
        Lanes512.Store(c2b, c + half);
        c += cStride;
        Lanes512.Store(c3a, c);
        Lanes512.Store(c3b, c + half);
        c += cStride;
        Lanes512.Store(c4a, c);
        Lanes512.Store(c4b, c + half);
        c += cStride;
        Lanes512.Store(c5a, c);
        Lanes512.Store(c5b, c + half);
        c += cStride;
        Lanes512.Store(c6a, c);
        Lanes512.Store(c6b, c + half);
        c += cStride;
        Lanes512.Store(c7a, c);
        Lanes512.Store(c7b, c + half);
        c += cStride;
        Lanes512.Store(c8a, c);
        Lanes512.Store(c8b, c + half);
        c += cStride;
        Lanes512.Store(c9a, c);
        Lanes512.Store(c9b, c + half);
        c += cStride;
        Lanes512.Store(c10a, c);
        Lanes512.Store(c10b, c + half);
        c += cStride;
        Lanes512.Store(c11a, c);
        Lanes512.Store(c11b, c + half);
    }
}
