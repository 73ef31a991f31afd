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

    internal static long RoundUp(long size, long multiple) => (size + multiple - 1) / multiple * multiple;

    /// <summary>Copies <paramref name="rows"/> rows of <paramref name="width"/> floats and pads them to [paddedRows, paddedWidth].</summary>
    internal static void CopyIn(float* source, long stride, long rows, long width, float* target, long paddedRows, long paddedWidth)
    {
        for (long row = 0; row < rows; row++)
        {
            Unsafe.CopyBlockUnaligned(target + row * paddedWidth, source + row * stride, (uint)(width * sizeof(float)));
            NativeMemory.Clear(target + row * paddedWidth + width, (nuint)((paddedWidth - width) * sizeof(float)));
        }
        NativeMemory.Clear(target + rows * paddedWidth, (nuint)((paddedRows - rows) * paddedWidth * sizeof(float)));
    }

    /// <summary>Writes factor·source to the rows of a head.</summary>
    internal static void CopyOut<T>(float* source, long sourceStride, float factor, float* target, long stride, long rows, long width)
        where T : unmanaged, ILanes<T>
    {
        for (long row = 0; row < rows; row++)
        {
            RowMath.Scale<T>(source + row * sourceStride, factor, width);
            Unsafe.CopyBlockUnaligned(target + row * stride, source + row * sourceStride, (uint)(width * sizeof(float)));
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
        Vector256<float>* top = stackalloc Vector256<float>[4], bottom = stackalloc Vector256<float>[4];
        TransposeGroup(source, sourceStride, top, factor);
        TransposeGroup(source + 4 * sourceStride, sourceStride, bottom, factor);
        for (int i = 0; i < 4; i++)
        {
            Vector256.Store(Avx.Permute2x128(top[i], bottom[i], 0x20), target + i * targetStride);
            Vector256.Store(Avx.Permute2x128(top[i], bottom[i], 0x31), target + (4 + i) * targetStride);
        }
    }

    /// <summary>Vector i gets column i of four rows in its lower half and column 4 + i in its upper half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeGroup(float* source, long stride, Vector256<float>* columns, Vector256<float> factor)
    {
        Vector256<float> row0 = Vector256.Load(source) * factor, row1 = Vector256.Load(source + stride) * factor;
        Vector256<float> row2 = Vector256.Load(source + 2 * stride) * factor, row3 = Vector256.Load(source + 3 * stride) * factor;
        Vector256<double> low01 = Avx.UnpackLow(row0, row1).AsDouble(), high01 = Avx.UnpackHigh(row0, row1).AsDouble();
        Vector256<double> low23 = Avx.UnpackLow(row2, row3).AsDouble(), high23 = Avx.UnpackHigh(row2, row3).AsDouble();
        columns[0] = Avx.UnpackLow(low01, low23).AsSingle();
        columns[1] = Avx.UnpackHigh(low01, low23).AsSingle();
        columns[2] = Avx.UnpackLow(high01, high23).AsSingle();
        columns[3] = Avx.UnpackHigh(high01, high23).AsSingle();
    }
}
