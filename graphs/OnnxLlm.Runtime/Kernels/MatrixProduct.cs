using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// C = op(A)·op(B) + bias in the manner of Goto and van de Geijn (2008): the right operand is packed once into panels of the register tile's width,
/// then parts of the result, blocks of rows, run through its panels. A left operand whose rows are stored in order is read where it lies, a transposed one is
/// packed block by block, so that all forms come close to the peak of multiply-adds. Every element is a sum in the same order on any number of threads.
/// </summary>
internal static unsafe class MatrixProduct
{
    /// <summary>Steps of a block: a panel of the right operand (16 KB with AVX2) then stays in the first-level cache.</summary>
    private const long Depth = 256;

    /// <summary>Steps and floats of the right operand that are packed at a time (8 MB).</summary>
    private const long MostSteps = 2048, MostFloats = 1 << 21;

    /// <summary>What one part packs: panels of an operand stored by columns, steps of all panels of one stored by steps, which is then read as it lies.</summary>
    private const long PanelsPerPart = 8, StepsPerPart = 64;

    /// <summary>Tiles of rows in a part: a block of the left operand then stays in the second-level cache.</summary>
    private const long TilesPerPart = 16, PackedTilesPerPart = 8;

    /// <summary>Floats between packed panels, so that the same step of all panels does not fall into one set of a cache.</summary>
    private const long Gap = 16;

    internal static readonly Kernel Plain = new("MatrixProduct", &ComputePlain)
    {
        Inputs = Kernel.AllFloat(2),
        Outputs = Kernel.AllFloat(1),
        Integers = ["transA", "transB"],
    };

    internal static readonly Kernel WithBias = new("BiasedProduct", &ComputeWithBias)
    {
        Inputs = Kernel.AllFloat(3),
        Outputs = Kernel.AllFloat(1),
        Integers = ["transA", "transB"],
    };

    internal static readonly Kernel Accumulated = new("AccumulatedProduct", &ComputeAccumulated)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Float, ElementType.Bool],
        Outputs = Kernel.AllFloat(1),
        SameShape = [0],
        Integers = ["transA", "transB"],
        Reuse = Reuse.FirstForFirst,
    };

    private struct Arguments
    {
        internal VectorWidth Width;
        internal bool TransposeA, TransposeB;
        internal long M, N, K;
        internal float* A, B, C;

        /// <summary>What the sums start from, null for zero, and the floats from one of its rows to the next: 0 for a bias.</summary>
        internal float* Start;
        internal long StartStride;

        /// <summary>The part of the right operand that is packed: its first step and column, their numbers, and the panels.</summary>
        internal long Step, Steps, Column, Columns, Panels, PanelStride;
        internal float* Packed;

        /// <summary>How many parts the rows and the panels are divided into.</summary>
        internal long RowParts, ColumnParts;
    }

    private static void ComputePlain(ref KernelContext context)
    {
        Arguments arguments = Factors(ref context, 0);
        Multiply(ref context, &arguments);
    }

    private static void ComputeWithBias(ref KernelContext context)
    {
        Arguments arguments = Factors(ref context, 0);
        arguments.Start = context.Input(2, [arguments.N]);
        Multiply(ref context, &arguments);
    }

    private static void ComputeAccumulated(ref KernelContext context)
    {
        Arguments arguments = Factors(ref context, 1);
        KernelTensor reset = context.Input(3);
        if (reset.Count != 1) throw new ModelRuntimeException($"reset must be one value, it has {reset.Count}");
        float* buffer = context.Input(0, [arguments.M, arguments.N]);
        arguments.Start = *(bool*)reset.Data ? null : buffer;
        arguments.StartStride = arguments.N;
        Multiply(ref context, &arguments);
    }

    /// <summary>The factors, which are the inputs <paramref name="first"/> and the next.</summary>
    private static Arguments Factors(ref KernelContext context, int first)
    {
        KernelTensor a = context.Input(first), b = context.Input(first + 1);
        if (a.Rank != 2 || b.Rank != 2) throw new ModelRuntimeException("both factors must be matrices");
        Arguments arguments = new() { Width = context.Width, TransposeA = context.Integer(0) != 0, TransposeB = context.Integer(1) != 0, A = a.Floats, B = b.Floats };
        (arguments.M, arguments.K) = arguments.TransposeA ? (a.Shape[1], a.Shape[0]) : (a.Shape[0], a.Shape[1]);
        arguments.N = b.Shape[arguments.TransposeB ? 0 : 1];
        if (b.Shape[arguments.TransposeB ? 1 : 0] != arguments.K) throw new ModelRuntimeException("the factors have different inner sizes");
        return arguments.K > 0 ? arguments : throw new ModelRuntimeException("the inner size is 0");
    }

    private static void Multiply(ref KernelContext context, Arguments* x)
    {
        x->C = context.Output(0, [x->M, x->N]);
        if (x->M == 0 || x->N == 0) return;
        long tile = TileWidth(x->Width), most = Math.Min(x->K, MostSteps);
        long columns = Math.Max(tile * PanelsPerPart, MostFloats / most / tile * tile);
        x->Packed = Scratch.Rent(Panels(Math.Min(columns, x->N), tile) * (most * tile + Gap));
        try
        {
            for (x->Column = 0; x->Column < x->N; x->Column += columns)
                for (x->Step = 0; x->Step < x->K; x->Step += MostSteps)
                {
                    (x->Columns, x->Steps) = (Math.Min(columns, x->N - x->Column), Math.Min(MostSteps, x->K - x->Step));
                    (x->Panels, x->PanelStride) = (Panels(x->Columns, tile), x->Steps * tile + Gap);
                    Divide(x);
                    context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&PackPart, x->TransposeB ? Panels(x->Panels, PanelsPerPart) : Panels(x->Steps, StepsPerPart), x);
                    context.ParallelFor((delegate* unmanaged<Arguments*, nint, void>)&MultiplyPart, x->RowParts * x->ColumnParts, x, uneven: true);
                }
        }
        finally
        {
            Scratch.Return(x->Packed);
        }
    }

    /// <summary>Blocks of rows that fit the cache; where those are few, as in the gradient of a small weight, each is divided by columns too.</summary>
    private static void Divide(Arguments* x)
    {
        x->RowParts = Panels(Panels(x->M, ProductTile.Rows), x->TransposeA ? PackedTilesPerPart : TilesPerPart);
        x->ColumnParts = 1;
        while (x->RowParts * x->ColumnParts < 3 * Environment.ProcessorCount && x->Panels / (2 * x->ColumnParts) >= PanelsPerPart) x->ColumnParts *= 2;
    }

    private static long Panels(long size, long width) => (size + width - 1) / width;

    private static long TileWidth(VectorWidth width) => width switch
    {
        VectorWidth.Bits512 => ProductTile.Width<Lanes512>(),
        VectorWidth.Portable => ProductTile.Width<PortableLanes>(),
        _ => ProductTile.Width<ScalarLane>(),
    };

    [UnmanagedCallersOnly]
    private static void PackPart(Arguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) Pack<Lanes512>(x, part);
        else if (x->Width == VectorWidth.Portable) Pack<PortableLanes>(x, part);
        else Pack<ScalarLane>(x, part);
    }

    private static void Pack<T>(Arguments* x, long part) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>();
        if (x->TransposeB)
        {
            long first = part * PanelsPerPart, column = first * width, columns = Math.Min(PanelsPerPart * width, x->Columns - column);
            float* source = x->B + (x->Column + column) * x->K + x->Step;
            ProductPacking.Transposed(source, x->K, x->Steps, columns, width, x->Packed + first * x->PanelStride, x->PanelStride);
        }
        else
        {
            long step = part * StepsPerPart, steps = Math.Min(StepsPerPart, x->Steps - step);
            float* source = x->B + (x->Step + step) * x->N + x->Column;
            ProductPacking.Rows<T>(source, x->N, steps, x->Columns, width, x->Packed + step * width, x->PanelStride);
        }
    }

    [UnmanagedCallersOnly]
    private static void MultiplyPart(Arguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) Block<Lanes512>(x, part);
        else if (x->Width == VectorWidth.Portable) Block<PortableLanes>(x, part);
        else Block<ScalarLane>(x, part);
    }

    /// <summary>A block of rows times the panels of this part, <see cref="Depth"/> steps at a time.</summary>
    private static void Block<T>(Arguments* x, nint part) where T : unmanaged, ILanes<T>
    {
        var (rowPart, columnPart) = (part / x->ColumnParts, part % x->ColumnParts);
        long tiles = Panels(x->M, ProductTile.Rows), firstTile = tiles * rowPart / x->RowParts, endTile = tiles * (rowPart + 1) / x->RowParts;
        long firstPanel = x->Panels * columnPart / x->ColumnParts, endPanel = x->Panels * (columnPart + 1) / x->ColumnParts;
        long row = firstTile * ProductTile.Rows, rows = Math.Min(endTile * ProductTile.Rows, x->M) - row;
        float* scratch = Scratch.Rent((endTile - firstTile) * ProductTile.PackedStride(Depth));
        for (long step = 0; step < x->Steps; step += Depth)
        {
            long depth = Math.Min(Depth, x->Steps - step);
            ProductRows left = x->TransposeA
                ? ProductRows.Transposed<T>(x->A + (x->Step + step) * x->M + row, x->M, depth, rows, x->M - row, scratch)
                : ProductRows.InOrder(x->A + row * x->K + x->Step + step, x->K, depth, rows, scratch);
            for (long panel = firstPanel; panel < endPanel; panel++)
                for (long tile = 0; tile < endTile - firstTile; tile++)
                    Tile<T>(x, left, tile, row, panel, step, depth);
        }
        Scratch.Return(scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<T>(Arguments* x, in ProductRows left, long tile, long row, long panel, long step, long depth) where T : unmanaged, ILanes<T>
    {
        long width = ProductTile.Width<T>(), column = panel * width, line = row + tile * ProductTile.Rows;
        long rows = Math.Min(ProductTile.Rows, x->M - line), columns = Math.Min(width, x->Columns - column);
        float* a = left.Tile(tile, out long rowStride, out long stepStride), b = x->Packed + panel * x->PanelStride + step * width;
        float* c = x->C + line * x->N + x->Column + column;

        // The first block starts from what the product is added to, later ones from what the earlier ones gave.
        bool first = x->Step + step == 0;
        float* start = !first ? c : x->Start == null ? null : x->Start + line * x->StartStride + x->Column + column;
        long startStride = first ? x->StartStride : x->N;
        if (rows == ProductTile.Rows && columns == width)
            ProductTile.Multiply<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N);
        else
            ProductTile.MultiplyEdge<T>(depth, a, rowStride, stepStride, b, start, startStride, c, x->N, rows, columns);
    }
}
