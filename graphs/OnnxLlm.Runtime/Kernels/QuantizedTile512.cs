using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Some activations times 16 rows of 8-bit weights, which lie in the lanes of a vector of AVX-512. A chunk of the weights is transposed once for all activations, where it is
/// used, because it is stored row by row. Sums of a chunk are exact integers, scaled and added in order, so a result does not depend on the rows beside it; one row alone
/// has a form of its own, <see cref="QuantizedRow512"/>, with the same sums.
/// </summary>
internal readonly unsafe struct QuantizedTile512 : IQuantizedTile
{
    private const int Chunk = QuantizedTile.Chunk;

    public static int Lanes => 16;

    public static int Chains => 1;

    public static long Room(long stride) => 0;

    public static byte* Arrange(byte* rows, long stride, byte* room) => rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(QuantizedArguments* x, long n, byte* w, float* scales, long row, long rows, float* sums)
    {
        long stride = x->Padded;
        byte* ahead = w + Lanes * stride;
        float* scalesAhead = x->ScalesOf(n + Lanes);
        long scalesApart = Lanes * x->FloatsOfScales / InterleavedWeights.Rows;
        short* a = x->Packed + row * stride;
        int* start = x->Starts + row * (stride / Chunk);
        new Span<float>(sums, (int)rows * Lanes).Clear();
        for (float* last = scales + x->Blocks * Lanes; scales < last; scales += Lanes, scalesAhead += scalesApart)
        {
            Sse.Prefetch0(scalesAhead);
            for (byte* end = w + x->Block; w < end; w += Chunk, ahead += Lanes * Chunk, a += rows * Chunk, start += rows)
            {
                AskFor(ahead);
                AddChunk(w, stride, Vector512.Load(scales), a, start, rows, sums);
            }
        }
        for (long i = 0; i < rows; i++)
            Vector512.Store(Vector512.Load(sums + i * Lanes) * Vector512.Create(x->RowScales[row + i]), x->Y + (row + i) * x->N + n);
    }

    /// <summary>Adds scale · (start + Σ w·a) of a chunk to the sums of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddChunk(byte* w, long stride, Vector512<float> scale, short* a, int* start, long rows, float* sums)
    {
        Transpose(w, stride, out var u0, out var u1, out var u2, out var u3);
        Transpose(w + 8 * stride, stride, out var v0, out var v1, out var v2, out var v3);
        Vector512<short> t0 = Left(u0, v0), t1 = Left(u1, v1), t2 = Left(u2, v2), t3 = Left(u3, v3);
        Vector512<short> t4 = Right(u0, v0), t5 = Right(u1, v1), t6 = Right(u2, v2), t7 = Right(u3, v3);
        Vector512<short> e0 = Even(t0), e1 = Even(t1), e2 = Even(t2), e3 = Even(t3), e4 = Even(t4), e5 = Even(t5), e6 = Even(t6), e7 = Even(t7);
        (t0, t1, t2, t3, t4, t5, t6, t7) = (Odd(t0), Odd(t1), Odd(t2), Odd(t3), Odd(t4), Odd(t5), Odd(t6), Odd(t7));
        for (int* end = start + rows; start < end; start++, a += Chunk, sums += Lanes)
        {
            Vector512<int> sum = Vector512.Create(*start) + Products(e0, a) + Products(t0, a + 2) + Products(e1, a + 4) + Products(t1, a + 6);
            Vector512<int> other = Products(e2, a + 8) + Products(t2, a + 10) + Products(e3, a + 12) + Products(t3, a + 14);
            sum += Products(e4, a + 16) + Products(t4, a + 18) + Products(e5, a + 20) + Products(t5, a + 22);
            other += Products(e6, a + 24) + Products(t6, a + 26) + Products(e7, a + 28) + Products(t7, a + 30);
            Vector512.Store(Vector512.Load(sums) + Vector512.ConvertToSingle(sum + other) * scale, sums);
        }
    }

    /// <summary>Two products in each lane, added; below 2²⁴, and those of a chunk below 2²⁸.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Products(Vector512<short> weights, short* pair) => Avx512BW.MultiplyAddAdjacent(weights, Vector512.Create(*(int*)pair).AsInt16());

    /// <summary>Of four weights of each row, the first and the third in 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Even(Vector512<short> four) => four & Vector512.Create((short)0xFF);

    /// <summary>The second and the fourth.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Odd(Vector512<short> four) => Vector512.ShiftRightLogical(four, 8);

    /// <summary>
    /// 32 weights of eight rows. Vector i gets four from 4i on of each row in its quarters: rows 0 to 3 in the first, the same rows' weights 16 further on in the second,
    /// rows 4 to 7 in the third and fourth.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(byte* w, long stride, out Vector512<long> c0, out Vector512<long> c1, out Vector512<long> c2, out Vector512<long> c3)
    {
        Vector512<int> row0 = TwoRows(w, stride), row1 = TwoRows(w + stride, stride), row2 = TwoRows(w + 2 * stride, stride), row3 = TwoRows(w + 3 * stride, stride);
        Vector512<long> low01 = Avx512F.UnpackLow(row0, row1).AsInt64(), high01 = Avx512F.UnpackHigh(row0, row1).AsInt64();
        Vector512<long> low23 = Avx512F.UnpackLow(row2, row3).AsInt64(), high23 = Avx512F.UnpackHigh(row2, row3).AsInt64();
        c0 = Avx512F.UnpackLow(low01, low23);
        c1 = Avx512F.UnpackHigh(low01, low23);
        c2 = Avx512F.UnpackLow(high01, high23);
        c3 = Avx512F.UnpackHigh(high01, high23);
    }

    /// <summary>A row, and the one four rows below.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> TwoRows(byte* w, long stride) => Avx512F.InsertVector256(Vector256.Load(w).ToVector512Unsafe(), Vector256.Load(w + 4 * stride), 1).AsInt32();

    /// <summary>The same four weights of all 16 rows, from the first and third quarters.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Left(Vector512<long> top, Vector512<long> bottom) => Avx512F.Shuffle4x128(top, bottom, 0b10_00_10_00).AsInt16();

    /// <summary>From the second and fourth.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Right(Vector512<long> top, Vector512<long> bottom) => Avx512F.Shuffle4x128(top, bottom, 0b11_01_11_01).AsInt16();

    /// <summary>Asks for as many weights as a chunk has, of the 16 rows below these: rows lie one behind the other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AskFor(byte* weights)
    {
        for (byte* end = weights + Lanes * Chunk; weights < end; weights += 64) Sse.Prefetch0(weights);
    }
}
