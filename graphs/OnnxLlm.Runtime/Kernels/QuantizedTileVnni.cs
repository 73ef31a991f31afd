using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Some activations times 8 rows of 8-bit weights, which lie in the lanes of a vector, by the instruction that multiplies and adds four bytes (AVX-VNNI). Weights are interleaved
/// when a model is loaded, others once for all activations, where they are used. Sums of a chunk are exact integers; scaled, they are added in eight chains, which
/// one row alone has too where it takes weights as they lie: <see cref="QuantizedRowVnni"/>. So a result does not depend on the rows beside it.
/// </summary>
internal readonly unsafe struct QuantizedTileVnni : IQuantizedTile
{
    private const int Chunk = QuantizedTile.Chunk;

    /// <summary>Weights beyond those in use that are asked for.</summary>
    private const int Ahead = 4096;

    public static int Lanes => InterleavedWeights.Rows;

    public static int Chains => 8;

    public static long Room(long stride) => Lanes * stride;

    public static byte* Arrange(byte* rows, long stride, byte* room)
    {
        InterleavedWeights.Interleave(rows, stride, room);
        return room;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(QuantizedArguments* x, long n, byte* w, float* scales, long row, long rows, float* sums)
    {
        long at = row * (x->Padded / Chunk), size = rows * Lanes, chain = 0;
        var a = (sbyte*)x->Packed + row * x->Padded;
        int* start = x->Starts + at;
        float* chunkScale = x->ChunkScales + at;
        new Span<float>(sums, (int)size * Chains).Clear();
        bool narrow = x->HasNarrowScales;
        long scalesApart = x->FloatsOfScales;
        for (float* last = scales + x->Blocks * scalesApart; scales < last; scales += scalesApart)
        {
            Sse.Prefetch0(scales + Ahead / sizeof(float));
            Vector256<float> scale = narrow ? BFloat16s.Eight((ushort*)scales) : Vector256.Load(scales);
            for (byte* end = w + Lanes * x->Block; w < end; w += Lanes * Chunk, a += rows * Chunk, start += rows, chunkScale += rows, chain = (chain + 1) % Chains)
            {
                QuantizedRow512.AskFor(w + Ahead);
                AddChunk(w, scale, a, start, chunkScale, rows, sums + chain * size);
            }
        }
        for (long i = 0; i < rows; i++) Vector256.Store(Total(sums + i * Lanes, size), x->Y + (row + i) * x->N + n);
    }

    /// <summary>Adds scale · (start + Σ w·a) of a chunk to a chain of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddChunk(byte* w, Vector256<float> scale, sbyte* a, int* start, float* chunkScale, long rows, float* sums)
    {
        Vector256<byte> w0 = Vector256.Load(w), w1 = Vector256.Load(w + 32), w2 = Vector256.Load(w + 64), w3 = Vector256.Load(w + 96);
        Vector256<byte> w4 = Vector256.Load(w + 128), w5 = Vector256.Load(w + 160), w6 = Vector256.Load(w + 192), w7 = Vector256.Load(w + 224);
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
}
