using System.Runtime.CompilerServices;

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

    /// <summary>Most steps of a block: a panel of the right operand (16 KB with AVX2) then stays in the first-level cache.</summary>
    private const long MostDepth = 256;

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
        x->Depth = Depth(x->Steps);
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

    /// <summary>Steps of a block: all have about as many, since each reads and writes the result once more. They depend on the sizes alone, so that sums do.</summary>
    private static long Depth(long steps) =>
        ProductPacking.Panels(ProductPacking.Panels(steps, ProductPacking.Panels(steps, MostDepth)), ProductTile.StepsPerAsk) * ProductTile.StepsPerAsk;

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
        float* scratch = Scratch.Rent(tiles * ProductPacking.Stride(x->Depth, ProductTile.Rows<T>()));
        for (long step = 0; step < x->Steps; step += x->Depth)
        {
            long depth = Math.Min(x->Depth, x->Steps - step);
            float* source = Left(x, row, step);
            TileAhead ahead = new(Next(x, part, row, rows, step + x->Depth));
            ProductRows left = x->TransposeA ? ProductRows.Transposed<T>(source, x->M, depth, rows, x->M - row, scratch) : ProductRows.Of<T>(source, x->K, depth, rows, scratch);
            float* b = x->Packed + firstPanel * x->PanelStride + step * width;
            for (long panel = firstPanel; panel < endPanel; panel++, b += x->PanelStride)
            {
                if (panel + 1 < endPanel) ahead.Packed = Asks(b + x->PanelStride, depth * width, tiles, depth);
                for (long tile = 0; tile < tiles; tile++)
                {
                    float* a = left.Tile(tile, out long rowStride, out long stepStride);
                    Tile<T>(x, a, rowStride, stepStride, b, row + tile * ProductTile.Rows<T>(), x->M, x->First + panel * width, x->First + x->Count, x->Step + step == 0, depth, &ahead);
                }
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
        long steps = Math.Min(x->Depth, x->Steps - step);
        return x->TransposeA ? new(Left(x, row, step), steps, rows, x->M) : new(Left(x, row, step), rows, steps, x->K);
    }

    /// <summary>The packed rows times a block of columns.</summary>
    private static void Columns<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), panels = ProductPacking.Panels(x->N, width), stride = ProductPacking.Stride(x->Depth, width);
        long firstPanel = panels * part / x->ColumnParts, endPanel = panels * (part + 1) / x->ColumnParts;
        long column = firstPanel * width, columns = Math.Min(endPanel * width, x->N) - column;
        float* right = Scratch.Rent((endPanel - firstPanel) * stride);
        for (long step = 0; step < x->Steps; step += x->Depth)
        {
            long depth = Math.Min(x->Depth, x->Steps - step), from = x->Step + step;
            PackRight<T>(x, from, depth, column, columns, right, stride);
            TileAhead ahead = new(NextRight(x, column, columns, step + x->Depth));
            for (long panel = 0; panel < endPanel - firstPanel; panel++)
                for (long tile = 0; tile < x->Panels; tile++)
                {
                    float* a = x->Packed + tile * x->PanelStride + step * ProductTile.Rows<T>();
                    if (panel == 0 && tile + 1 < x->Panels) ahead.Packed = Asks(a + x->PanelStride, depth * ProductTile.Rows<T>(), 1, depth);
                    Tile<T>(x, a, 1, ProductTile.Rows<T>(), right + panel * stride, x->First + tile * ProductTile.Rows<T>(), x->First + x->Count, column + panel * width, x->N, from == 0, depth, &ahead);
                }
        }
        Scratch.Return(right);
    }

    /// <summary>What a part that packs columns reads from a step on.</summary>
    private static NextBlock NextRight(ProductArguments* x, long column, long columns, long step)
    {
        if (step >= x->Steps) return default;
        long steps = Math.Min(x->Depth, x->Steps - step), from = x->Step + step;
        return x->TransposeB ? new(x->B + column * x->K + from, columns, steps, x->K) : new(x->B + from * x->N + column, steps, columns, x->N);
    }

    /// <summary>All rows, as they lie, times a block of columns.</summary>
    private static void AllRows<T>(ProductArguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), panels = ProductPacking.Panels(x->N, width), stride = ProductPacking.Stride(x->Depth, width), height = ProductTile.Rows<T>();
        long firstPanel = panels * part / x->ColumnParts, endPanel = panels * (part + 1) / x->ColumnParts;
        long column = firstPanel * width, columns = Math.Min(endPanel * width, x->N) - column;
        float* right = Scratch.Rent((endPanel - firstPanel) * stride + RowsPerPart / height * ProductPacking.Stride(x->Depth, height)), tiles = right + (endPanel - firstPanel) * stride;
        TileAhead ahead = default;
        for (long step = 0; step < x->Steps; step += x->Depth)
        {
            long depth = Math.Min(x->Depth, x->Steps - step);
            PackRight<T>(x, step, depth, column, columns, right, stride);
            for (long row = 0; row < x->M; row += RowsPerPart)
            {
                ProductRows left = ProductRows.Of<T>(x->A + row * x->K + step, x->K, depth, Math.Min(RowsPerPart, x->M - row), tiles);
                for (long panel = 0; panel < endPanel - firstPanel; panel++)
                    for (long tile = 0; tile < RowsPerPart / height && row + tile * height < x->M; tile++)
                    {
                        float* a = left.Tile(tile, out long rowStride, out long stepStride);
                        Tile<T>(x, a, rowStride, stepStride, right + panel * stride, row + tile * height, x->M, column + panel * width, x->N, step == 0, depth, &ahead);
                    }
            }
        }
        Scratch.Return(right);
    }

    /// <summary>The tile at a row and a column of the result, which ends at <paramref name="endRow"/> and <paramref name="endColumn"/>.</summary>
    /// <param name="first">This is the first block of steps: it begins with what the product is added to, later ones with what the earlier ones gave.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<T>(
        ProductArguments* x, float* a, long rowStride, long stepStride, float* b, long row, long endRow, long column, long endColumn, bool first, long depth, TileAhead* ahead)
        where T : unmanaged, ILanes<T>
    {
        long rows = Math.Min(ProductTile.Rows<T>(), endRow - row), columns = Math.Min(ProductTile.Width<T>(), endColumn - column);
        float* c = x->C + row * x->N + column, start = !first ? c : x->Start == null ? null : x->Start + row * x->StartStride + column;
        long startStride = first ? x->StartStride : x->N;
        ahead->Begin(c, x->N, rows, columns, depth);
        if (rows == ProductTile.Rows<T>() && columns == ProductTile.Width<T>())
            ProductTile.Multiply<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N, ahead);
        else
            ProductTile.MultiplyEdge<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N, rows, columns, ahead);
    }

    /// <summary>Packed floats that are asked for while some tiles are multiplied.</summary>
    private static Ahead Asks(float* packed, long floats, long tiles, long depth) =>
        new((byte*)packed, floats * sizeof(float), tiles * ProductPacking.Panels(depth, ProductTile.StepsPerAsk));
}
