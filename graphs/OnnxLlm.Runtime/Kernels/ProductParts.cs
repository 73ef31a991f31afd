using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The parallel parts of a matrix product. What a part reads again and again stays in a cache: a panel of the right operand in the first level, a block of the
/// operand that it packs itself in the second.
/// </summary>
internal static unsafe class ProductParts
{
    /// <summary>What one part packs: panels of an operand stored by rows or columns, steps of all panels of one stored by steps, which is then read as it lies.</summary>
    private const long PanelsPerPart = 2, StepsPerPart = 64;

    /// <summary>Fewest parts that each processor gets.</summary>
    private const long PartsPerProcessor = 3;

    /// <summary>Fewest panels of a part of the result that has not all of them.</summary>
    private const long FewestPanels = 8;

    /// <summary>Steps of a block: a panel of the right operand (16 KB with AVX2) then stays in the first-level cache.</summary>
    private const long Depth = 256;

    /// <summary>Rows, tiles of packed rows or panels of columns in a part: its block then stays in the second-level cache, and parts are small enough to share evenly.</summary>
    private const long RowsPerPart = 96, PackedTilesPerPart = 8, ColumnPanelsPerPart = 4;

    /// <summary>Most panels of a part that packs its own block of the right operand (128 KB with AVX2): it stays in the second-level cache beside a block of rows.</summary>
    private const long OwnPanelsPerPart = 8;

    /// <summary>Fewest tiles of a part of rows.</summary>
    private const long FewestTiles = 2;

    /// <summary>Whether nothing is packed before.</summary>
    internal static bool PacksRightInParts(long m, long n, bool transposeA) => !transposeA && n > m;

    /// <summary>The operand that is packed before is read by all parts; the other one is divided, and where that gives few parts, the first one too.</summary>
    internal static void Divide(ProductArguments* x)
    {
        long few = PartsPerProcessor * Environment.ProcessorCount, width = x->TileWidth;
        if (x->LeftFirst || x->RightInParts)
        {
            long panels = ProductPacking.Panels(x->N, width), most = x->LeftFirst ? ColumnPanelsPerPart : OwnPanelsPerPart;
            (x->RowParts, x->ColumnParts) = (1, Even(ProductPacking.Panels(panels, most), panels));
            return;
        }
        long tiles = ProductPacking.Panels(x->M, x->TileRows), rowParts = ProductPacking.Panels(x->M, x->TransposeA ? PackedTilesPerPart * x->TileRows : RowsPerPart);
        (x->RowParts, x->ColumnParts) = (Even(rowParts, Math.Max(1, tiles / FewestTiles)), 1);
        while (x->RowParts * x->ColumnParts < few && x->Panels / (2 * x->ColumnParts) >= FewestPanels) x->ColumnParts *= 2;
    }

    /// <summary>As many parts for every processor: of eleven, one of two would have to wait for the other's last.</summary>
    private static long Even(long parts, long most) =>
        Math.Min(ProductPacking.Panels(Math.Max(parts, PartsPerProcessor * Environment.ProcessorCount), Environment.ProcessorCount) * Environment.ProcessorCount, most);

    /// <summary>Number of parts to pack.</summary>
    internal static long ToPack(ProductArguments* x) =>
        !x->LeftFirst && x->TransposeB ? ProductPacking.Panels(x->Panels, PanelsPerPart) : ProductPacking.Panels(x->Steps, StepsPerPart);

    internal static void Pack<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>();
        if (!x->LeftFirst && x->TransposeB)
        {
            long first = part * PanelsPerPart, columns = Math.Min(PanelsPerPart * width, x->Count - first * width);
            PackRight<T>(x, x->Step, x->Steps, x->First + first * width, columns, x->Packed + first * x->PanelStride, x->PanelStride);
            return;
        }
        long step = part * StepsPerPart, steps = Math.Min(StepsPerPart, x->Steps - step);
        if (x->LeftFirst)
            ProductPacking.Tiles<T>(x->A + (x->Step + step) * x->M + x->First, x->M, steps, x->Count, x->M - x->First, x->Packed + step * ProductTile.Rows<T>(), x->PanelStride);
        else
            PackRight<T>(x, x->Step + step, steps, x->First, x->Count, x->Packed + step * width, x->PanelStride);
    }

    private static void PackRight<T>(ProductArguments* x, long step, long steps, long column, long columns, float* panels, long panelStride)
        where T : unmanaged, ILanes<T>
    {
        if (x->TransposeB) ProductPacking.Transposed(x->B + column * x->K + step, x->K, steps, columns, ProductTile.Width<T>(), panels, panelStride);
        else ProductPacking.Rows<T>(x->B + step * x->N + column, x->N, steps, columns, ProductTile.Width<T>(), panels, panelStride);
    }

    internal static void Multiply<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        if (x->RightInParts) AllRows<T>(x, part);
        else if (x->LeftFirst) Columns<T>(x, part);
        else Rows<T>(x, part);
    }

    /// <summary>A block of rows times the panels of this part.</summary>
    private static void Rows<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), columnPart = part % x->ColumnParts;
        long firstPanel = x->Panels * columnPart / x->ColumnParts, endPanel = x->Panels * (columnPart + 1) / x->ColumnParts;
        var (row, rows) = RowsOf(x, part);
        long tiles = ProductPacking.Panels(rows, ProductTile.Rows<T>());
        float* scratch = Scratch.Rent(tiles * ProductPacking.Stride(Depth, ProductTile.Rows<T>()));
        for (long step = 0; step < x->Steps; step += Depth)
        {
            long depth = Math.Min(Depth, x->Steps - step);
            float* source = Left(x, row, step);
            NextBlock next = Next(x, part, row, rows, step + Depth);
            ProductRows left = x->TransposeA ? ProductRows.Transposed<T>(source, x->M, depth, rows, x->M - row, scratch) : ProductRows.Of<T>(source, x->K, depth, rows, scratch);
            for (long panel = firstPanel; panel < endPanel; panel++)
                for (long tile = 0; tile < tiles; tile++)
                {
                    float* a = left.Tile(tile, out long rowStride, out long stepStride), b = x->Packed + panel * x->PanelStride + step * width;
                    Tile<T>(x, a, rowStride, stepStride, b, row + tile * ProductTile.Rows<T>(), x->M, x->First + panel * width, x->First + x->Count, x->Step + step == 0, depth, &next);
                }
        }
        Scratch.Return(scratch);
    }

    /// <summary>First row and number of rows of a part.</summary>
    private static (long Row, long Rows) RowsOf(ProductArguments* x, long part)
    {
        long tiles = ProductPacking.Panels(x->M, x->TileRows), rowPart = part / x->ColumnParts;
        long row = tiles * rowPart / x->RowParts * x->TileRows, end = tiles * (rowPart + 1) / x->RowParts * x->TileRows;
        return (row, Math.Min(end, x->M) - row);
    }

    /// <summary>Where the left operand has a row and a step of those that are packed.</summary>
    private static float* Left(ProductArguments* x, long row, long step) => x->TransposeA ? x->A + (x->Step + step) * x->M + row : x->A + row * x->K + x->Step + step;

    /// <summary>What a part reads from a step on, or where it has no more steps, the part that is likely to be the thread's next: the threads take them in turn.</summary>
    private static NextBlock Next(ProductArguments* x, long part, long row, long rows, long step)
    {
        if (step >= x->Steps)
        {
            part += Environment.ProcessorCount;
            if (part >= x->RowParts * x->ColumnParts) return default;
            ((row, rows), step) = (RowsOf(x, part), 0);
        }
        long steps = Math.Min(Depth, x->Steps - step);
        return x->TransposeA ? new(Left(x, row, step), steps, rows, x->M) : new(Left(x, row, step), rows, steps, x->K);
    }

    /// <summary>The packed rows times a block of columns.</summary>
    private static void Columns<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), panels = ProductPacking.Panels(x->N, width), stride = ProductPacking.Stride(Depth, width);
        long firstPanel = panels * part / x->ColumnParts, endPanel = panels * (part + 1) / x->ColumnParts;
        long column = firstPanel * width, columns = Math.Min(endPanel * width, x->N) - column;
        float* right = Scratch.Rent((endPanel - firstPanel) * stride);
        NextBlock next = default;
        for (long step = 0; step < x->Steps; step += Depth)
        {
            long depth = Math.Min(Depth, x->Steps - step), from = x->Step + step;
            PackRight<T>(x, from, depth, column, columns, right, stride);
            for (long panel = 0; panel < endPanel - firstPanel; panel++)
                for (long tile = 0; tile < x->Panels; tile++)
                {
                    float* a = x->Packed + tile * x->PanelStride + step * ProductTile.Rows<T>();
                    Tile<T>(x, a, 1, ProductTile.Rows<T>(), right + panel * stride, x->First + tile * ProductTile.Rows<T>(), x->First + x->Count, column + panel * width, x->N, from == 0, depth, &next);
                }
        }
        Scratch.Return(right);
    }

    /// <summary>All rows, as they lie, times a block of columns.</summary>
    private static void AllRows<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), panels = ProductPacking.Panels(x->N, width), stride = ProductPacking.Stride(Depth, width), height = ProductTile.Rows<T>();
        long firstPanel = panels * part / x->ColumnParts, endPanel = panels * (part + 1) / x->ColumnParts;
        long column = firstPanel * width, columns = Math.Min(endPanel * width, x->N) - column;
        float* right = Scratch.Rent((endPanel - firstPanel) * stride + RowsPerPart / height * ProductPacking.Stride(Depth, height)), tiles = right + (endPanel - firstPanel) * stride;
        NextBlock next = default;
        for (long step = 0; step < x->K; step += Depth)
        {
            long depth = Math.Min(Depth, x->K - step);
            PackRight<T>(x, step, depth, column, columns, right, stride);
            for (long row = 0; row < x->M; row += RowsPerPart)
            {
                ProductRows left = ProductRows.Of<T>(x->A + row * x->K + step, x->K, depth, Math.Min(RowsPerPart, x->M - row), tiles);
                for (long panel = 0; panel < endPanel - firstPanel; panel++)
                    for (long tile = 0; tile < RowsPerPart / height && row + tile * height < x->M; tile++)
                    {
                        float* a = left.Tile(tile, out long rowStride, out long stepStride);
                        Tile<T>(x, a, rowStride, stepStride, right + panel * stride, row + tile * height, x->M, column + panel * width, x->N, step == 0, depth, &next);
                    }
            }
        }
        Scratch.Return(right);
    }

    /// <summary>The tile at a row and a column of the result, which ends at <paramref name="endRow"/> and <paramref name="endColumn"/>.</summary>
    /// <param name="first">This is the first block of steps: it begins with what the product is added to, later ones with what the earlier ones gave.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<T>(
        ProductArguments* x, float* a, long rowStride, long stepStride, float* b, long row, long endRow, long column, long endColumn, bool first, long depth, NextBlock* next)
        where T : unmanaged, ILanes<T>
    {
        long rows = Math.Min(ProductTile.Rows<T>(), endRow - row), columns = Math.Min(ProductTile.Width<T>(), endColumn - column);
        float* c = x->C + row * x->N + column, start = !first ? c : x->Start == null ? null : x->Start + row * x->StartStride + column;
        long startStride = first ? x->StartStride : x->N;
        if (Sse.IsSupported) AskFor<T>(c, x->N, rows);
        if (rows == ProductTile.Rows<T>() && columns == ProductTile.Width<T>())
            ProductTile.Multiply<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N, next);
        else
            ProductTile.MultiplyEdge<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N, rows, columns, next);
    }

    /// <summary>Asks for the lines of the result that a tile will write: they are there by the time it is done.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AskFor<T>(float* tile, long stride, long rows) where T : unmanaged, ILanes<T>
    {
        for (float* end = tile + rows * stride; tile < end; tile += stride)
        {
            Sse.Prefetch0(tile);
            if (T.Count == Lanes512.Count) Sse.Prefetch0(tile + T.Count);
        }
    }
}
