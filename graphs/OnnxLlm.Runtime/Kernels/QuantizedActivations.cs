using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Rows of activations in 16 bits, q = round(a / s) with s = max|a| / 32766 of the row. Eight rows, then the four, two and one that remain, form the groups that
/// a tile takes at once; a group is stored [chunk][row][32].
/// </summary>
internal static unsafe class QuantizedActivations
{
    /// <summary>258 · 127: what 8 bits hold exactly, these do too.</summary>
    private const float Largest = 32766;

    /// <summary>Number of groups of so many rows.</summary>
    internal static long Groups(long rows) => (rows >> 3) + long.PopCount(rows & 7);

    /// <summary>First row and number of rows of a group.</summary>
    internal static (long First, long Count) Group(long rows, long group)
    {
        long full = rows >> 3, first = full << 3;
        if (group < full) return (group << 3, 8);
        for (long count = 4; ; count >>= 1)
        {
            if ((rows & count) == 0) continue;
            if (group-- == full) return (first, count);
            first += count;
        }
    }

    internal static void Pack(QuantizedArguments* x, long group)
    {
        (long first, long count) = Group(x->M, group);
        for (long i = 0; i < count; i++)
            x->RowScales[first + i] = PackRow(x->A + (first + i) * x->K, x->K, x->Padded, x->Packed + first * x->Padded + i * QuantizedTile.Chunk, count * QuantizedTile.Chunk);
    }

    /// <summary>What one stands for, and what a value is multiplied by. A row with an infinity or a NaN has the scale NaN, so that all its results are.</summary>
    internal static (float Scale, float Inverse) Scale(float* row, long size)
    {
        float largest = Magnitude(row, size);
        return (float.IsFinite(largest) ? largest / Largest : float.NaN, largest > 0 && float.IsFinite(largest) ? Largest / largest : 0);
    }

    /// <summary>Returns the scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float PackRow(float* row, long size, long padded, short* target, long stride)
    {
        (float scale, float factor) = Scale(row, size);
        Vector256<float> inverse = Vector256.Create(factor);
        for (long chunk = 0; chunk < padded; chunk += QuantizedTile.Chunk, target += stride)
        {
            if (chunk + QuantizedTile.Chunk > size)
            {
                PackEnd(row + chunk, size - chunk, inverse.ToScalar(), target);
                continue;
            }
            Avx.Store(target, Round(row + chunk, inverse));
            Avx.Store(target + QuantizedTile.Chunk / 2, Round(row + chunk + QuantizedTile.Chunk / 2, inverse));
        }
        return scale;
    }

    /// <summary>16 values, rounded to the nearest, ties to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Round(float* source, Vector256<float> inverse)
    {
        Vector256<int> low = Avx.ConvertToVector256Int32(Avx.LoadVector256(source) * inverse), high = Avx.ConvertToVector256Int32(Avx.LoadVector256(source + 8) * inverse);
        return Avx2.Permute4x64(Avx2.PackSignedSaturate(low, high).AsInt64(), 0b11_01_10_00).AsInt16(); // packing goes by halves of the vector
    }

    /// <summary>The last values of a row, and zeros behind them.</summary>
    private static void PackEnd(float* source, long count, float inverse, short* target)
    {
        for (long i = 0; i < QuantizedTile.Chunk; i++) target[i] = i < count ? (short)MathF.Round(source[i] * inverse) : (short)0;
    }

    /// <summary>The largest magnitude; NaN where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Magnitude(float* row, long size)
    {
        Vector256<float> largest = default;
        long i = 0;
        for (; i + Vector256<float>.Count <= size; i += Vector256<float>.Count) largest = Vector256.Max(largest, Vector256.Abs(Avx.LoadVector256(row + i)));
        float result = 0;
        for (int lane = 0; lane < Vector256<float>.Count; lane++) result = MathF.Max(result, largest[lane]);
        for (; i < size; i++) result = MathF.Max(result, MathF.Abs(row[i]));
        return result;
    }
}
