using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Activations in 8 bits, a scale for each 32 of a row: q = round(a / s) with s = max|a| / 127, as the definition rounds them. Groups of 64 rows, the last one smaller, each
/// [chunk][row][32]. Since weights are stored with 128 added, the sum of a chunk's products starts at -128 · Σ q.
/// </summary>
internal static unsafe class QuantizedActivationsVnni
{
    private const int Chunk = QuantizedTile.Chunk, Eight = 8;

    private const float Largest = 127;

    internal static void Pack(QuantizedArguments* x, long group)
    {
        long first = group * QuantizedTiles.Rows, rows = Math.Min(QuantizedTiles.Rows, x->M - first), chunks = x->Padded / Chunk, at = first * chunks;
        for (long i = 0; i < rows; i++)
            PackRow(x->A + (first + i) * x->K, x->K, chunks, (sbyte*)x->Packed + (at + i) * Chunk, x->Starts + at + i, x->ChunkScales + at + i, rows);
    }

    /// <param name="stride">Rows of the group.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRow(float* row, long size, long chunks, sbyte* target, int* start, float* scale, long stride)
    {
        float* end = stackalloc float[Chunk];
        for (long left = size; chunks > 0; chunks--, left -= Chunk, row += Chunk, target += stride * Chunk, start += stride, scale += stride)
        {
            float* source = left >= Chunk ? row : QuantizedActivations512.Filled(row, left, end);
            Vector256<float> a = Vector256.Load(source), b = Vector256.Load(source + Eight), c = Vector256.Load(source + 2 * Eight), d = Vector256.Load(source + 3 * Eight);
            float largest = Magnitude(a, b, c, d), inverse = Largest / largest;
            *scale = float.IsFinite(largest) ? largest / Largest : float.NaN; // so that all results of the row are
            Vector256<sbyte> values = Round(a, b, c, d, Vector256.Create(float.IsFinite(inverse) ? inverse : 0));
            *start = -Vector256.Sum(AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, Vector256.Create((byte)128), values));
            Vector256.Store(values, target);
        }
    }

    /// <summary>The largest magnitude; NaN where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Magnitude(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
    {
        Vector256<float> eight = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
    }

    /// <summary>To the nearest, ties to even. Packing goes by halves of the vector, which the permutation puts in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Round(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d, Vector256<float> inverse)
    {
        Vector256<short> low = Avx2.PackSignedSaturate(Avx.ConvertToVector256Int32(a * inverse), Avx.ConvertToVector256Int32(b * inverse));
        Vector256<short> high = Avx2.PackSignedSaturate(Avx.ConvertToVector256Int32(c * inverse), Avx.ConvertToVector256Int32(d * inverse));
        return Avx2.PermuteVar8x32(Avx2.PackSignedSaturate(low, high).AsInt32(), Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7)).AsSByte();
    }
}
