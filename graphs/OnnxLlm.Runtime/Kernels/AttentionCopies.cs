using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Copies between heads of a tensor and the scratch of tiled attention, whose matrices are padded with zeros to whole tiles.
/// Zeros are harmless there: a padded key comes after every real query, a padded query's output gradient is zero.
/// </summary>
internal static unsafe class AttentionCopies
{
    /// <summary>Rows of keys in a packed panel.</summary>
    internal const int Panel = 16;

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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void CopyOut(float* source, long sourceStride, float factor, float* target, long stride, long rows, long width)
    {
        for (long row = 0; row < rows; row++, source += sourceStride, target += stride)
        {
            long i = 0;
            for (; i <= width - 16; i += 16) Vector512.Store(Vector512.Load(source + i) * factor, target + i);
            for (; i < width; i++) target[i] = source[i] * factor;
        }
    }

    /// <summary>target[c][r] = factor·source[r][c]; rows and columns are multiples of 16.</summary>
    internal static void Transpose(float* source, long rows, long columns, long sourceStride, float* target, long targetStride, float factor)
    {
        for (long row = 0; row < rows; row += 16)
            for (long column = 0; column < columns; column += 16)
                AttentionTile.Transpose16(source + row * sourceStride + column, sourceStride, target + column * targetStride + row, targetStride, factor);
    }

    /// <summary>Packs [rows, columns] into panels of 16 rows, each [column][row]: the left operand of a tile reads 8 rows side by side.</summary>
    internal static void Pack(float* source, long rows, long columns, float* panels)
    {
        for (long row = 0; row < rows; row += Panel)
            Transpose(source + row * columns, Panel, columns, columns, panels + row * columns, Panel, 1);
    }
}
