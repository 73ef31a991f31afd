using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Activations rounded as by <see cref="QuantizedActivations"/>, in the order of <see cref="QuantizedTile512"/>: groups of 64 rows, the last one smaller, each [chunk][row][32]. Of
/// four activations the second and third change places, because it widens weights in that order. Since weights are stored with 128 added, the sum of a chunk's products
/// starts at -128 · Σ a.
/// </summary>
internal static unsafe class QuantizedActivations512
{
    private const int Chunk = QuantizedTile.Chunk;

    internal static void Pack(QuantizedArguments* x, long group)
    {
        long first = group * QuantizedTiles.Rows, rows = Math.Min(QuantizedTiles.Rows, x->M - first), chunks = x->Padded / Chunk;
        bool inOrder = QuantizedRow512.Takes(x);
        for (long i = 0; i < rows; i++)
            x->RowScales[first + i] = PackRow(x->A + (first + i) * x->K, x->K, x->Padded, inOrder, x->Packed + first * x->Padded + i * Chunk, x->Starts + first * chunks + i, rows);
    }

    /// <summary>Returns the scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float PackRow(float* row, long size, long padded, bool inOrder, short* target, int* start, long stride)
    {
        (float scale, float inverse) = QuantizedActivations.Scale(row, size);
        Vector512<float> factor = Vector512.Create(inverse);
        float* end = stackalloc float[Chunk];
        for (long left = size; left > size - padded; left -= Chunk, row += Chunk, target += stride * Chunk, start += stride)
        {
            float* source = left >= Chunk ? row : Filled(row, left, end);
            Vector512<short> values = Vector512.Create(Round(source, factor), Round(source + Chunk / 2, factor));
            *start = -128 * Vector512.Sum(Avx512BW.MultiplyAddAdjacent(values, Vector512<short>.One));
            Vector512.Store(inOrder ? values : Avx512BW.ShuffleHigh(Avx512BW.ShuffleLow(values, Swapped), Swapped), target);
        }
        return scale;
    }

    /// <summary>Of four numbers, the second and third change places.</summary>
    private const byte Swapped = 0b11_01_10_00;

    /// <summary>16 values, rounded to the nearest, ties to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Round(float* source, Vector512<float> factor) =>
        Avx512F.ConvertToVector256Int16WithSaturation(Avx512F.ConvertToVector512Int32(Vector512.Load(source) * factor));

    /// <summary>The last values of a row, and zeros behind them.</summary>
    internal static float* Filled(float* row, long size, float* chunk)
    {
        for (long i = 0; i < Chunk; i++) chunk[i] = i < size ? row[i] : 0;
        return chunk;
    }
}
