using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Eight rows of 8-bit weights in the order in which <see cref="QuantizedTileVnni"/> multiplies them: four of each row side by side fill a vector. A matrix [N, blocks, block] is
/// [N/8, blocks, block/4, 8·4] then, by which the kernel knows it, and its scales [N, blocks] are [N/8, blocks, 8]; where 16 bits
/// hold them (bfloat16), which is how they are quantized, two take the place of a float: [N/8, blocks, 4].
/// </summary>
internal static unsafe class InterleavedWeights
{
    internal const int Rows = 8, Together = 4, Rank = 4, NarrowScales = Rows / 2;

    /// <summary>Weights of a row that are brought into order at a time.</summary>
    private const int Step = 16;

    /// <param name="rows">[8, <paramref name="size"/>].</param>
    /// <param name="size">Weights of a row, a multiple of 32.</param>
    /// <param name="target">Room for as many.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Interleave(byte* rows, long size, byte* target)
    {
        byte* ahead = rows + Rows * size;
        for (byte* end = rows + size; rows < end; rows += Step, target += Rows * Step, ahead += Rows * Step)
        {
            Sse.Prefetch0(ahead);
            Sse.Prefetch0(ahead + 64);
            Transpose(rows, size, target);
        }
    }

    /// <param name="scales">[8, <paramref name="blocks"/>].</param>
    /// <param name="blocks">Of a row.</param>
    /// <param name="target">Room for as many.</param>
    internal static void InterleaveScales(float* scales, long blocks, float* target) => AttentionCopies.Transpose(scales, Rows, blocks, blocks, target, Rows, 1);

    /// <summary>As <see cref="InterleaveScales"/>, for scales that 16 bits hold.</summary>
    internal static void InterleaveNarrowScales(float* scales, long blocks, ushort* target)
    {
        for (long block = 0; block < blocks; block++)
            for (long row = 0; row < Rows; row++) target[block * Rows + row] = BFloat16.Round(scales[row * blocks + block]);
    }

    /// <summary>16 weights of eight rows; vector i gets four of each, from 4i on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(byte* w, long stride, byte* target)
    {
        Vector256<int> row0 = TwoRows(w, stride), row1 = TwoRows(w + stride, stride), row2 = TwoRows(w + 2 * stride, stride), row3 = TwoRows(w + 3 * stride, stride);
        Vector256<long> low01 = Avx2.UnpackLow(row0, row1).AsInt64(), high01 = Avx2.UnpackHigh(row0, row1).AsInt64();
        Vector256<long> low23 = Avx2.UnpackLow(row2, row3).AsInt64(), high23 = Avx2.UnpackHigh(row2, row3).AsInt64();
        Vector256.Store(Avx2.UnpackLow(low01, low23).AsByte(), target);
        Vector256.Store(Avx2.UnpackHigh(low01, low23).AsByte(), target + 32);
        Vector256.Store(Avx2.UnpackLow(high01, high23).AsByte(), target + 64);
        Vector256.Store(Avx2.UnpackHigh(high01, high23).AsByte(), target + 96);
    }

    /// <summary>A row, and the one four rows below.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> TwoRows(byte* w, long stride) => Vector256.Create(Vector128.Load(w), Vector128.Load(w + 4 * stride)).AsInt32();
}
