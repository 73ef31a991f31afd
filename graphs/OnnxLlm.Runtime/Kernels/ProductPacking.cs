using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Brings the operands of a product into the order in which the register tile reads them.</summary>
internal static unsafe class ProductPacking
{
    /// <summary>Floats between packed panels, so that the same step of all panels does not fall into one set of a cache; what a last store writes too much goes there.</summary>
    private const long Gap = 16;

    /// <summary>Number of panels of a size, the last of which may be partly filled.</summary>
    internal static long Panels(long size, long width) => (size + width - 1) / width;

    /// <summary>Floats from one packed panel to the next.</summary>
    internal static long Stride(long steps, long width) => steps * width + Gap;

    /// <summary>
    /// Packs a matrix stored [steps][columns] into panels, each [steps][width]; the columns of the last panel are filled up with zeros.
    /// Row by row, so that the source is read in long runs.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Rows<T>(float* source, long stride, long steps, long columns, long width, float* panels, long panelStride)
        where T : unmanaged, ILanes<T>
    {
        long full = columns / width, rest = columns % width;
        for (; steps > 0; steps--, source += stride, panels += width)
        {
            float* from = source, to = panels;
            for (long panel = 0; panel < full; panel++, from += width, to += panelStride)
            {
                T left = T.Load(from), right = T.Load(from + T.Count);
                T.Store(left, to);
                T.Store(right, to + T.Count);
            }
            if (rest == 0) continue;
            for (long i = 0; i < rest; i++) to[i] = from[i];
            for (long i = rest; i < width; i++) to[i] = 0;
        }
    }

    /// <summary>The same for a matrix stored [columns][steps].</summary>
    internal static void Transposed(float* source, long stride, long steps, long columns, long width, float* panels, long panelStride)
    {
        for (; columns > 0; columns -= width, source += width * stride, panels += panelStride)
        {
            if (columns < width) NativeMemory.Clear(panels, (nuint)(steps * width * sizeof(float)));
            AttentionCopies.Transpose(source, Math.Min(columns, width), steps, stride, panels, width, 1);
        }
    }

    /// <summary>
    /// Packs a left operand stored [steps][rows] into tiles, each [steps][rows of a tile]; rows of the last tile beyond the matrix are zero.
    /// A vector overshoots a row of a tile: the next step overwrites what it wrote too much. The last step is written exactly, since another part may own what follows.
    /// </summary>
    /// <param name="readable">Floats of a source row, from the first one on, that may be read.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Tiles<T>(float* source, long stride, long steps, long rows, long readable, float* tiles, long tileStride)
        where T : unmanaged, ILanes<T>
    {
        if (T.Count == Lanes512.Count)
        {
            long packed = Tiles512(source, stride, steps, rows, readable, tiles, tileStride);
            source += packed * stride;
            tiles += packed * ProductTile512.Rows;
            steps -= packed;
        }
        long height = ProductTile.Rows<T>(), whole = T.Count >= height && readable >= T.Count ? Math.Min(rows, readable - T.Count + height) / height : 0;
        for (; steps > 0; steps--, source += stride, tiles += height)
        {
            float* from = source, to = tiles;
            if (steps == 1) whole = 0;
            for (long tile = 0; tile < whole; tile++, from += height, to += tileStride) T.Store(T.Load(from), to);
            for (long row = whole * height; row < rows; row += height, from += height, to += tileStride)
                for (long i = 0; i < height; i++) to[i] = row + i < rows ? from[i] : 0;
        }
    }

    /// <summary>The same for AVX-512, four steps at a time: their 4 x 12 values of a tile fill three vectors. Returns the number of steps that are packed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Tiles512(float* source, long stride, long steps, long rows, long readable, float* tiles, long tileStride)
    {
        const long height = ProductTile512.Rows, together = 4;
        if (!Avx512F.IsSupported) return 0;
        Vector512<int> first = Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19);
        Vector512<int> second = Vector512.Create(4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23);
        Vector512<int> third = Vector512.Create(8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
        long step = 0, whole = readable >= Vector512<float>.Count ? Math.Min(rows, readable - Vector512<float>.Count + height) / height : 0;
        for (; step <= steps - together; step += together, source += together * stride, tiles += together * height)
        {
            float* from = source, to = tiles;
            for (long tile = 0; tile < whole; tile++, from += height, to += tileStride)
            {
                Vector512<float> step0 = Vector512.Load(from), step1 = Vector512.Load(from + stride), step2 = Vector512.Load(from + 2 * stride), step3 = Vector512.Load(from + 3 * stride);
                Vector512.Store(Avx512F.PermuteVar16x32x2(step0, first, step1), to);
                Vector512.Store(Avx512F.PermuteVar16x32x2(step1, second, step2), to + Vector512<float>.Count);
                Vector512.Store(Avx512F.PermuteVar16x32x2(step2, third, step3), to + 2 * Vector512<float>.Count);
            }
            for (long row = whole * height; row < rows; row += height, from += height, to += tileStride)
                for (long i = 0; i < together * height; i++) to[i] = row + i % height < rows ? from[i / height * stride + i % height] : 0;
        }
        return step;
    }

    /// <summary>Packs the 12 rows, stored [rows][steps], of a full tile of AVX-512.</summary>
    internal static void Tile512(float* source, long stride, long steps, float* tile)
    {
        for (long row = 0; row < ProductTile512.Rows; row += 4, source += 4 * stride, tile += 4)
            for (long step = FourRows(source, stride, steps, tile); step < steps; step++)
                for (long i = 0; i < 4; i++) tile[step * ProductTile512.Rows + i] = source[i * stride + step];
    }

    /// <summary>Transposes four rows in squares of four, four squares at a time; returns the first step that is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long FourRows(float* source, long stride, long steps, float* tile)
    {
        if (!Avx512F.IsSupported) return 0;
        long step = 0;
        for (; step <= steps - Vector512<float>.Count; step += Vector512<float>.Count, source += Vector512<float>.Count)
        {
            Vector512<float> row0 = Vector512.Load(source), row1 = Vector512.Load(source + stride), row2 = Vector512.Load(source + 2 * stride), row3 = Vector512.Load(source + 3 * stride);
            Vector512<double> low01 = Avx512F.UnpackLow(row0, row1).AsDouble(), high01 = Avx512F.UnpackHigh(row0, row1).AsDouble();
            Vector512<double> low23 = Avx512F.UnpackLow(row2, row3).AsDouble(), high23 = Avx512F.UnpackHigh(row2, row3).AsDouble();
            float* target = tile + step * ProductTile512.Rows;
            Squares(Avx512F.UnpackLow(low01, low23).AsSingle(), target);
            Squares(Avx512F.UnpackHigh(low01, low23).AsSingle(), target + ProductTile512.Rows);
            Squares(Avx512F.UnpackLow(high01, high23).AsSingle(), target + 2 * ProductTile512.Rows);
            Squares(Avx512F.UnpackHigh(high01, high23).AsSingle(), target + 3 * ProductTile512.Rows);
        }
        return step;
    }

    /// <summary>Stores the same column of four squares, which are four steps apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Squares(Vector512<float> column, float* target)
    {
        Vector128.Store(Avx512F.ExtractVector128(column, 0), target);
        Vector128.Store(Avx512F.ExtractVector128(column, 1), target + 4 * ProductTile512.Rows);
        Vector128.Store(Avx512F.ExtractVector128(column, 2), target + 8 * ProductTile512.Rows);
        Vector128.Store(Avx512F.ExtractVector128(column, 3), target + 12 * ProductTile512.Rows);
    }

    /// <summary>Packs the few rows, stored [rows][steps], of a last tile that is not full.</summary>
    /// <param name="height">Rows of a tile.</param>
    internal static void LastTile(float* source, long stride, long steps, long rows, long height, float* tile)
    {
        for (long step = 0; step < steps; step++, tile += height)
            for (long row = 0; row < height; row++) tile[row] = row < rows ? source[row * stride + step] : 0;
    }
}
