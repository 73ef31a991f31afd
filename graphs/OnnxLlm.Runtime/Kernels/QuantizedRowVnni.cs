using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// One row of activations times 8-bit weights in blocks of 32, by AVX-VNNI: weights are read as they lie, which is how memory gives them fastest. The sums of eight blocks are
/// brought into one vector, whose lanes are the chains of <see cref="QuantizedTileVnni"/>.
/// </summary>
internal static unsafe class QuantizedRowVnni
{
    private const int Chunk = QuantizedTile.Chunk, Chains = 8;

    internal static bool Takes(QuantizedArguments* x) => x->M == 1 && x->Block == Chunk && !x->IsInterleaved;

    internal static void Multiply(QuantizedArguments* x, long first, long end)
    {
        for (long n = first; n < end; n++)
            x->Y[n] = Row(x->Values + n * x->Padded, x->Scales + n * x->Blocks, (sbyte*)x->Packed, x->Starts, x->ChunkScales, x->Blocks);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Row(byte* w, float* scales, sbyte* a, int* starts, float* chunkScales, long blocks)
    {
        Vector256<float> sum = default;
        for (; blocks >= Chains; blocks -= Chains, w += Chains * Chunk, a += Chains * Chunk, scales += Chains, chunkScales += Chains, starts += Chains)
        {
            QuantizedRow512.AskFor(w + QuantizedRow512.Ahead);
            Vector256<int> sums = Sums(
                Products(w, a), Products(w + Chunk, a + Chunk), Products(w + 2 * Chunk, a + 2 * Chunk), Products(w + 3 * Chunk, a + 3 * Chunk),
                Products(w + 4 * Chunk, a + 4 * Chunk), Products(w + 5 * Chunk, a + 5 * Chunk), Products(w + 6 * Chunk, a + 6 * Chunk), Products(w + 7 * Chunk, a + 7 * Chunk));
            sum = Fma.MultiplyAdd(Avx.ConvertToVector256Single(sums + Vector256.Load(starts)), Vector256.Load(scales) * Vector256.Load(chunkScales), sum);
        }
        float* chains = stackalloc float[Chains];
        Vector256.Store(sum, chains);
        for (long i = 0; i < blocks; i++)
            chains[i] = MathF.FusedMultiplyAdd(Vector256.Sum(Products(w + i * Chunk, a + i * Chunk)) + starts[i], scales[i] * chunkScales[i], chains[i]);
        return chains[0] + chains[1] + (chains[2] + chains[3]) + (chains[4] + chains[5] + (chains[6] + chains[7]));
    }

    /// <summary>A block, four products in each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Products(byte* w, sbyte* a) => AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, Vector256.Load(w), Vector256.Load(a));

    /// <summary>The sum of the lanes of each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sums(
        Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d, Vector256<int> e, Vector256<int> f, Vector256<int> g, Vector256<int> h)
    {
        Vector256<int> left = Halves(a, b, c, d), right = Halves(e, f, g, h);
        return Avx2.Permute2x128(left, right, 0x20) + Avx2.Permute2x128(left, right, 0x31);
    }

    /// <summary>In each half the sums of a half's lanes of a, b, c and d.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Halves(Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d)
    {
        Vector256<long> ab = (Avx2.UnpackLow(a, b) + Avx2.UnpackHigh(a, b)).AsInt64(), cd = (Avx2.UnpackLow(c, d) + Avx2.UnpackHigh(c, d)).AsInt64();
        return Avx2.UnpackLow(ab, cd).AsInt32() + Avx2.UnpackHigh(ab, cd).AsInt32();
    }
}
