using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Copies between heads of a tensor and the scratch of tiled attention, whose matrices are padded with zeros to whole tiles.
/// Zeros are harmless there: a padded key comes after every real query, a padded query's output gradient is zero.
/// </summary>
internal static unsafe class AttentionCopies
{
    private const int Block = 8;

    /// <summary>Rows of a head are short and far apart: no hardware foresees the next one.</summary>
    private const long RowsAhead = 8;

    internal static long RoundUp(long size, long multiple) => (size + multiple - 1) / multiple * multiple;

    /// <summary>Copies <paramref name="rows"/> rows of <paramref name="width"/> floats and pads them to [paddedRows, paddedWidth].</summary>
    internal static void CopyIn<T>(float* source, long stride, long rows, long width, float* target, long paddedRows, long paddedWidth)
        where T : unmanaged, ILanes<T>
    {
        if (width < paddedWidth || rows < paddedRows) NativeMemory.Clear(target, (nuint)(paddedRows * paddedWidth * sizeof(float)));
        Copy<T>(source, stride, 1, target, paddedWidth, rows, width);
    }

    /// <summary>Copies rows times a factor. The rows of a head are short, so this is a loop and no call per row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Copy<T>(float* source, long sourceStride, float factor, float* target, long targetStride, long rows, long width)
        where T : unmanaged, ILanes<T>
    {
        T factors = T.All(factor);
        for (; rows > 0; rows--, source += sourceStride, target += targetStride)
        {
            long i = 0;
            for (; i <= width - T.Count; i += T.Count)
            {
                if (Sse.IsSupported)
                {
                    Sse.Prefetch0(source + RowsAhead * sourceStride + i);
                    Sse.Prefetch0(target + RowsAhead * targetStride + i);
                }
                T.Store(T.Load(source + i) * factors, target + i);
            }
            for (; i < width; i++) target[i] = source[i] * factor;
        }
    }

    /// <summary>target[c][r] = factor·source[r][c].</summary>
    internal static void Transpose(float* source, long rows, long columns, long sourceStride, float* target, long targetStride, float factor)
    {
        long row = 0;
        for (; Avx.IsSupported && row <= rows - Block; row += Block)
        {
            long column = 0;
            for (; column <= columns - Block; column += Block)
                TransposeBlock(source + row * sourceStride + column, sourceStride, target + column * targetStride + row, targetStride, Vector256.Create(factor));
            Plain(source + row * sourceStride + column, Block, columns - column, sourceStride, target + column * targetStride + row, targetStride, factor);
        }
        Plain(source + row * sourceStride, rows - row, columns, sourceStride, target + row, targetStride, factor);
    }

    /// <summary>Packs [rows, columns] into panels of 8 rows, each [column][row]: the left operand of a tile reads 8 rows side by side.</summary>
    internal static void Pack(float* source, long rows, long columns, float* panels)
    {
        for (long row = 0; row < rows; row += AttentionTile.Rows)
            Transpose(source + row * columns, AttentionTile.Rows, columns, columns, panels + row * columns, AttentionTile.Rows, 1);
    }

    private static void Plain(float* source, long rows, long columns, long sourceStride, float* target, long targetStride, float factor)
    {
        for (long row = 0; row < rows; row++)
            for (long column = 0; column < columns; column++)
                target[column * targetStride + row] = factor * source[row * sourceStride + column];
    }

    /// <summary>8 rows and columns: first within groups of four rows, then the halves of a top and a bottom group become one row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeBlock(float* source, long sourceStride, float* target, long targetStride, Vector256<float> factor)
    {
        TransposeGroup(source, sourceStride, factor, out var top0, out var top1, out var top2, out var top3);
        TransposeGroup(source + 4 * sourceStride, sourceStride, factor, out var low0, out var low1, out var low2, out var low3);
        Join(top0, low0, target, targetStride);
        Join(top1, low1, target + targetStride, targetStride);
        Join(top2, low2, target + 2 * targetStride, targetStride);
        Join(top3, low3, target + 3 * targetStride, targetStride);
    }

    /// <summary>Vector i gets column i of four rows in its lower half and column 4 + i in its upper half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeGroup(
        float* source, long stride, Vector256<float> factor, out Vector256<float> c0, out Vector256<float> c1, out Vector256<float> c2, out Vector256<float> c3)
    {
        Vector256<float> row0 = Vector256.Load(source) * factor, row1 = Vector256.Load(source + stride) * factor;
        Vector256<float> row2 = Vector256.Load(source + 2 * stride) * factor, row3 = Vector256.Load(source + 3 * stride) * factor;
        Vector256<double> low01 = Avx.UnpackLow(row0, row1).AsDouble(), high01 = Avx.UnpackHigh(row0, row1).AsDouble();
        Vector256<double> low23 = Avx.UnpackLow(row2, row3).AsDouble(), high23 = Avx.UnpackHigh(row2, row3).AsDouble();
        c0 = Avx.UnpackLow(low01, low23).AsSingle();
        c1 = Avx.UnpackHigh(low01, low23).AsSingle();
        c2 = Avx.UnpackLow(high01, high23).AsSingle();
        c3 = Avx.UnpackHigh(high01, high23).AsSingle();
    }

    /// <summary>The lower halves become row i, the upper halves row 4 + i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Join(Vector256<float> top, Vector256<float> low, float* target, long stride)
    {
        Vector256.Store(Avx.Permute2x128(top, low, 0x20), target);
        Vector256.Store(Avx.Permute2x128(top, low, 0x31), target + 4 * stride);
    }
}
