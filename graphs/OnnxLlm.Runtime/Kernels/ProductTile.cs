using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The register tile of a matrix product, C[6 x 2 vectors] = start + A[6 x depth]·B[depth x 2 vectors]: 12 accumulators, two vectors of B and one value of A
/// fill the 16 registers of AVX2, and two multiply-adds start in every cycle. AVX-512 has 32 registers and <see cref="ProductTile512"/>. The accumulators are
/// separate locals because the compiler keeps those, and no array, in registers.
/// </summary>
internal static unsafe class ProductTile
{
    private const int SixRows = 6;

    /// <summary>Steps of a tile between two times that it asks for memory; the inner loop ends there.</summary>
    internal const int StepsPerAsk = 16;

    /// <summary>Rows of a tile.</summary>
    internal static int Rows<T>() where T : unmanaged, ILanes<T> => T.Count == Lanes512.Count ? ProductTile512.Rows : SixRows;

    /// <summary>Columns of a tile.</summary>
    internal static int Width<T>() where T : unmanaged, ILanes<T> => 2 * T.Count;

    /// <param name="depth">Number of steps.</param>
    /// <param name="a">First step of the first row of the left operand.</param>
    /// <param name="rowStride">Floats from one row of a to the next.</param>
    /// <param name="stepStride">Floats from one step of a to the next.</param>
    /// <param name="b">Packed right operand.</param>
    /// <param name="start">What the sums start from; null for zero.</param>
    /// <param name="startStride">Floats from one row of start to the next; 0 for the same row everywhere.</param>
    /// <param name="c">Result; may be start.</param>
    /// <param name="cStride">Floats from one row of c to the next.</param>
    /// <param name="ahead">What to ask for meanwhile.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Multiply<T>(long depth, float* a, long rowStride, long stepStride, float* b, float* start, long startStride, float* c, long cStride, TileAhead* ahead)
        where T : unmanaged, ILanes<T>
    {
        if (T.Count == Lanes512.Count) ProductTile512.Multiply(depth, a, rowStride, stepStride, b, start, startStride, c, cStride, ahead);
        else MultiplySix<T>(depth, a, rowStride, stepStride, b, start, startStride, c, cStride, ahead);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplySix<T>(long depth, float* a, long rowStride, long stepStride, float* b, float* start, long startStride, float* c, long cStride, TileAhead* ahead)
        where T : unmanaged, ILanes<T>
    {
        float* a1 = a + rowStride, a2 = a1 + rowStride, a3 = a2 + rowStride, a4 = a3 + rowStride, a5 = a4 + rowStride;
        T c0a, c0b, c1a, c1b, c2a, c2b, c3a, c3b, c4a, c4b, c5a, c5b;
        c0a = c0b = c1a = c1b = c2a = c2b = c3a = c3b = c4a = c4b = c5a = c5b = T.All(0);
        long end = depth * stepStride;
        for (long step = 0; step < end;)
        {
            TileAhead.Ask(ahead);
            for (long stop = Math.Min(end, step + StepsPerAsk * stepStride); step < stop; step += stepStride)
            {
                T left = T.Load(b), right = T.Load(b + T.Count), x = T.All(a[step]);
                b += 2 * T.Count;
                c0a = T.MultiplyAdd(x, left, c0a);
                c0b = T.MultiplyAdd(x, right, c0b);
                x = T.All(a1[step]);
                c1a = T.MultiplyAdd(x, left, c1a);
                c1b = T.MultiplyAdd(x, right, c1b);
                x = T.All(a2[step]);
                c2a = T.MultiplyAdd(x, left, c2a);
                c2b = T.MultiplyAdd(x, right, c2b);
                x = T.All(a3[step]);
                c3a = T.MultiplyAdd(x, left, c3a);
                c3b = T.MultiplyAdd(x, right, c3b);
                x = T.All(a4[step]);
                c4a = T.MultiplyAdd(x, left, c4a);
                c4b = T.MultiplyAdd(x, right, c4b);
                x = T.All(a5[step]);
                c5a = T.MultiplyAdd(x, left, c5a);
                c5b = T.MultiplyAdd(x, right, c5b);
            }
        }
        if (start != null)
        {
            c0a += T.Load(start);
            c0b += T.Load(start + T.Count);
            start += startStride;
            c1a += T.Load(start);
            c1b += T.Load(start + T.Count);
            start += startStride;
            c2a += T.Load(start);
            c2b += T.Load(start + T.Count);
            start += startStride;
            c3a += T.Load(start);
            c3b += T.Load(start + T.Count);
            start += startStride;
            c4a += T.Load(start);
            c4b += T.Load(start + T.Count);
            start += startStride;
            c5a += T.Load(start);
            c5b += T.Load(start + T.Count);
        }
        T.Store(c0a, c);
        T.Store(c0b, c + T.Count);
        c += cStride;
        T.Store(c1a, c);
        T.Store(c1b, c + T.Count);
        c += cStride;
        T.Store(c2a, c);
        T.Store(c2b, c + T.Count);
        c += cStride;
        T.Store(c3a, c);
        T.Store(c3b, c + T.Count);
        c += cStride;
        T.Store(c4a, c);
        T.Store(c4b, c + T.Count);
        c += cStride;
        T.Store(c5a, c);
        T.Store(c5b, c + T.Count);
    }

    /// <summary>The first <paramref name="rows"/> rows and <paramref name="columns"/> columns of a tile at the border of the result.</summary>
    internal static void MultiplyEdge<T>(
        long depth, float* a, long rowStride, long stepStride, float* b, float* start, long startStride, float* c, long cStride, long rows, long columns, TileAhead* ahead)
        where T : unmanaged, ILanes<T>
    {
        float* tile = stackalloc float[Rows<T>() * Width<T>()];
        if (rows <= SixRows) MultiplySix<T>(depth, a, rowStride, stepStride, b, null, 0, tile, Width<T>(), ahead);
        else Multiply<T>(depth, a, rowStride, stepStride, b, null, 0, tile, Width<T>(), ahead);
        for (long row = 0; row < rows; row++)
            for (long column = 0; column < columns; column++)
                c[row * cStride + column] = (start == null ? 0 : start[row * startStride + column]) + tile[row * Width<T>() + column];
    }
}
