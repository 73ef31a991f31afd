using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Some activations times 8 rows of 8-bit weights, which lie in the lanes of a vector, by the instruction that multiplies and adds four bytes (AVX-VNNI). A chunk of the weights is
/// transposed once for all activations, where it is used, because it is stored row by row. Sums of a chunk are exact integers; scaled, they are added in eight chains, which
/// one row alone has too, in a form of its own: <see cref="QuantizedRowVnni"/>. So a result does not depend on the rows beside it.
/// </summary>
internal readonly unsafe struct QuantizedTileVnni : IQuantizedTile
{
    private const int Chunk = QuantizedTile.Chunk;

    public static int Lanes => 8;

    public static int Chains => 8;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(QuantizedArguments* x, long n, float* scales, long row, long rows, float* sums)
    {
        long stride = x->Padded, at = row * (stride / Chunk), size = rows * Lanes, chain = 0;
        byte* w = x->Values + n * stride, ahead = w + Lanes * stride;
        float* scalesAhead = x->Scales + (n + Lanes) * x->Blocks;
        var a = (sbyte*)x->Packed + row * stride;
        int* start = x->Starts + at;
        float* chunkScale = x->ChunkScales + at;
        new Span<float>(sums, (int)size * Chains).Clear();
        for (float* last = scales + x->Blocks * Lanes; scales < last; scales += Lanes, scalesAhead += Lanes)
        {
            Sse.Prefetch0(scalesAhead);
            for (byte* end = w + x->Block; w < end; w += Chunk, ahead += Lanes * Chunk, a += rows * Chunk, start += rows, chunkScale += rows, chain = (chain + 1) % Chains)
            {
                QuantizedRow512.AskFor(ahead);
                AddChunk(w, stride, Vector256.Load(scales), a, start, chunkScale, rows, sums + chain * size);
            }
        }
        for (long i = 0; i < rows; i++) Vector256.Store(Total(sums + i * Lanes, size), x->Y + (row + i) * x->N + n);
    }

    /// <summary>Adds scale · (start + Σ w·a) of a chunk to a chain of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddChunk(byte* w, long stride, Vector256<float> scale, sbyte* a, int* start, float* chunkScale, long rows, float* sums)
    {
        Transpose(w, stride, out var w0, out var w1, out var w2, out var w3);
        Transpose(w + Chunk / 2, stride, out var w4, out var w5, out var w6, out var w7);
        for (int* end = start + rows; start < end; start++, chunkScale++, a += Chunk, sums += Lanes)
        {
            Vector256<int> sum = Add(Add(Add(Add(Vector256.Create(*start), w0, a), w1, a + 4), w2, a + 8), w3, a + 12);
            Vector256<int> other = Add(Add(Add(Add(Vector256<int>.Zero, w4, a + 16), w5, a + 20), w6, a + 24), w7, a + 28);
            Vector256.Store(Fma.MultiplyAdd(Avx.ConvertToVector256Single(sum + other), scale * Vector256.Create(*chunkScale), Vector256.Load(sums)), sums);
        }
    }

    /// <summary>Four products in each lane, added; those of a chunk are below 2²¹.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, sbyte* four) =>
        AvxVnni.MultiplyWideningAndAdd(sum, weights, Vector256.Create(*(int*)four).AsSByte());

    /// <summary>The chains of eight results, added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Total(float* sums, long size) =>
        (Vector256.Load(sums) + Vector256.Load(sums + size) + (Vector256.Load(sums + 2 * size) + Vector256.Load(sums + 3 * size)))
        + (Vector256.Load(sums + 4 * size) + Vector256.Load(sums + 5 * size) + (Vector256.Load(sums + 6 * size) + Vector256.Load(sums + 7 * size)));

    /// <summary>16 weights of eight rows; vector i gets four of each, from 4i on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(byte* w, long stride, out Vector256<byte> c0, out Vector256<byte> c1, out Vector256<byte> c2, out Vector256<byte> c3)
    {
        Vector256<int> row0 = TwoRows(w, stride), row1 = TwoRows(w + stride, stride), row2 = TwoRows(w + 2 * stride, stride), row3 = TwoRows(w + 3 * stride, stride);
        Vector256<long> low01 = Avx2.UnpackLow(row0, row1).AsInt64(), high01 = Avx2.UnpackHigh(row0, row1).AsInt64();
        Vector256<long> low23 = Avx2.UnpackLow(row2, row3).AsInt64(), high23 = Avx2.UnpackHigh(row2, row3).AsInt64();
        c0 = Avx2.UnpackLow(low01, low23).AsByte();
        c1 = Avx2.UnpackHigh(low01, low23).AsByte();
        c2 = Avx2.UnpackLow(high01, high23).AsByte();
        c3 = Avx2.UnpackHigh(high01, high23).AsByte();
    }

    /// <summary>A row, and the one four rows below.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> TwoRows(byte* w, long stride) => Vector256.Create(Vector128.Load(w), Vector128.Load(w + 4 * stride)).AsInt32();
}
