using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// One row of activations times 8-bit weights in blocks of 32, by AVX-512: weights are read as they lie, which is how memory gives them fastest. The sums of eight blocks are
/// brought into one vector, scaled, and added in order, as in <see cref="QuantizedTile512"/>.
/// </summary>
internal static unsafe class QuantizedRow512
{
    private const int Blocks = 8, Chunk = QuantizedTile.Chunk;

    /// <summary>Bytes between the weights that are used and those that are asked for.</summary>
    internal const int Ahead = 4096;

    internal static bool Takes(QuantizedArguments* x) => x->M == 1 && x->Block == Chunk;

    internal static void Multiply(QuantizedArguments* x, long first, long end)
    {
        for (long n = first; n < end; n++)
            x->Y[n] = Row(x->Values + n * x->Padded, x->ScalesOf(n), x->HasNarrowScales, x->Packed, x->Starts, x->Blocks) * *x->RowScales;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Row(byte* w, float* scales, bool narrow, short* a, int* starts, long blocks)
    {
        float sum = 0;
        float* scaled = stackalloc float[Blocks];
        long scalesApart = narrow ? InterleavedWeights.NarrowScales : Blocks;
        for (; blocks >= Blocks; blocks -= Blocks, w += Blocks * Chunk, a += Blocks * Chunk, scales += scalesApart, starts += Blocks)
        {
            AskFor(w + Ahead);
            Vector256<int> sums = Sums(
                Products(w, a), Products(w + Chunk, a + Chunk), Products(w + 2 * Chunk, a + 2 * Chunk), Products(w + 3 * Chunk, a + 3 * Chunk),
                Products(w + 4 * Chunk, a + 4 * Chunk), Products(w + 5 * Chunk, a + 5 * Chunk), Products(w + 6 * Chunk, a + 6 * Chunk), Products(w + 7 * Chunk, a + 7 * Chunk));
            Vector256.Store(Vector256.ConvertToSingle(sums + Vector256.Load(starts)) * (narrow ? BFloat16s.Eight((ushort*)scales) : Vector256.Load(scales)), scaled);
            sum = sum + scaled[0] + scaled[1] + scaled[2] + scaled[3] + scaled[4] + scaled[5] + scaled[6] + scaled[7];
        }
        for (long i = 0; i < blocks; i++, w += Chunk, a += Chunk, starts++)
            sum += (Vector512.Sum(Products(w, a)) + *starts) * (narrow ? BFloat16.Value(((ushort*)scales)[i]) : scales[i]);
        return sum;
    }

    /// <summary>A block, two products in each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Products(byte* w, short* a) => Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(w)), Vector512.Load(a));

    /// <summary>The sum of the lanes of each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sums(
        Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d, Vector512<int> e, Vector512<int> f, Vector512<int> g, Vector512<int> h)
    {
        Vector512<int> sums = Halves(Quarters(a, b, c, d), Quarters(e, f, g, h));
        return Halves(sums, sums).GetLower();
    }

    /// <summary>In each quarter the sums of a quarter's lanes of a, b, c and d.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Quarters(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d)
    {
        Vector512<long> ab = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsInt64(), cd = (Avx512F.UnpackLow(c, d) + Avx512F.UnpackHigh(c, d)).AsInt64();
        return Avx512F.UnpackLow(ab, cd).AsInt32() + Avx512F.UnpackHigh(ab, cd).AsInt32();
    }

    /// <summary>The first two quarters of a added, its last two, and those of b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Halves(Vector512<int> a, Vector512<int> b) => Avx512F.Shuffle4x128(a, b, 0b10_00_10_00) + Avx512F.Shuffle4x128(a, b, 0b11_01_11_01);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void AskFor(byte* weights)
    {
        Sse.Prefetch0(weights);
        Sse.Prefetch0(weights + 64);
        Sse.Prefetch0(weights + 128);
        Sse.Prefetch0(weights + 192);
    }
}
