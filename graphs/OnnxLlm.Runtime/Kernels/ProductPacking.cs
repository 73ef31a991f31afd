using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
    /// Packs a left operand stored [steps][rows] into tiles, each [steps][6]; rows of the last tile beyond the matrix are zero.
    /// A vector of 8 overshoots a row of 6: the next step overwrites what it wrote too much. The last step is written exactly, since another part may own what follows.
    /// </summary>
    /// <param name="readable">Floats of a source row, from the first one on, that may be read.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Tiles<T>(float* source, long stride, long steps, long rows, long readable, float* tiles, long tileStride)
        where T : unmanaged, ILanes<T>
    {
        long whole = T.Count == Overshoot && readable >= Overshoot ? Math.Min(rows, readable - Overshoot + ProductTile.Rows) / ProductTile.Rows : 0;
        for (; steps > 0; steps--, source += stride, tiles += ProductTile.Rows)
        {
            float* from = source, to = tiles;
            if (steps == 1) whole = 0;
            for (long tile = 0; tile < whole; tile++, from += ProductTile.Rows, to += tileStride) T.Store(T.Load(from), to);
            for (long row = whole * ProductTile.Rows; row < rows; row += ProductTile.Rows, from += ProductTile.Rows, to += tileStride)
                for (long i = 0; i < ProductTile.Rows; i++) to[i] = row + i < rows ? from[i] : 0;
        }
    }

    /// <summary>Packs the few rows, stored [rows][steps], of a last tile that is not full.</summary>
    internal static void LastTile(float* source, long stride, long steps, long rows, float* tile)
    {
        for (long step = 0; step < steps; step++, tile += ProductTile.Rows)
            for (long row = 0; row < ProductTile.Rows; row++) tile[row] = row < rows ? source[row * stride + step] : 0;
    }

    /// <summary>Floats that a whole vector of <see cref="Tiles"/> moves.</summary>
    private const long Overshoot = 8;
}
