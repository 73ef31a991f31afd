using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// C = op(A)·op(B) + start in the manner of Goto and van de Geijn (2008): one operand is packed before, into panels of the register tile's width,
/// then parts of the result run through its panels with blocks of the other. Every element is a sum in the same order on any number of threads.
/// </summary>
internal static unsafe class MatrixProduct
{
    /// <summary>Steps and floats that are packed at a time (8 MB).</summary>
    private const long MostSteps = 2048, MostFloats = 1 << 21;

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

    private static void ComputePlain(ref KernelContext context)
    {
        ProductArguments arguments = Factors(ref context, 0);
        Multiply(ref context, &arguments);
    }

    private static void ComputeWithBias(ref KernelContext context)
    {
        ProductArguments arguments = Factors(ref context, 0);
        arguments.Start = context.Input(2, [arguments.N]);
        Multiply(ref context, &arguments);
    }

    private static void ComputeAccumulated(ref KernelContext context)
    {
        ProductArguments arguments = Factors(ref context, 1);
        float* buffer = context.Input(0, [arguments.M, arguments.N]);
        arguments.Start = context.Flag(3) ? null : buffer;
        arguments.StartStride = arguments.N;
        Multiply(ref context, &arguments);
    }

    /// <summary>The factors, which are the inputs <paramref name="first"/> and the next.</summary>
    private static ProductArguments Factors(ref KernelContext context, int first)
    {
        KernelTensor a = context.Input(first), b = context.Input(first + 1);
        if (a.Rank != 2 || b.Rank != 2) throw new ModelRuntimeException("both factors must be matrices");
        ProductArguments arguments = new() { Width = context.Width, TransposeA = context.Integer(0) != 0, TransposeB = context.Integer(1) != 0, A = a.Floats, B = b.Floats };
        (arguments.M, arguments.K) = arguments.TransposeA ? (a.Shape[1], a.Shape[0]) : (a.Shape[0], a.Shape[1]);
        arguments.N = b.Shape[arguments.TransposeB ? 0 : 1];
        if (b.Shape[arguments.TransposeB ? 1 : 0] != arguments.K) throw new ModelRuntimeException("the factors have different inner sizes");
        return arguments.K > 0 ? arguments : throw new ModelRuntimeException("the inner size is 0");
    }

    private static void Multiply(ref KernelContext context, ProductArguments* x)
    {
        x->C = context.Output(0, [x->M, x->N]);
        if (x->M > 0 && x->N > 0) Run(ref context, x);
    }

    /// <summary>Computes a product of known operands and result, none of them empty.</summary>
    internal static void Run(ref KernelContext context, ProductArguments* x)
    {
        (x->TileRows, x->TileWidth) = Tile(x->Width);
        // A left operand stored by rows that is the smaller one is read again and again where it lies; the right one is then best packed where it is used.
        x->RightInParts = ProductParts.PacksRightInParts(x->M, x->N, x->TransposeA);
        if (!x->RightInParts)
        {
            RunPacked(ref context, x);
            return;
        }
        x->Steps = x->K;
        ProductParts.Divide(x);
        context.ParallelFor((delegate* unmanaged<ProductArguments*, nint, void>)&MultiplyPart, x->ColumnParts, x, uneven: true);
    }

    private static void RunPacked(ref KernelContext context, ProductArguments* x)
    {
        // A left operand stored by steps must be packed in any case; where it is the smaller one, it is packed before and the right one in blocks.
        x->LeftFirst = x->TransposeA && x->N > x->M;
        long size = x->LeftFirst ? x->M : x->N, width = x->LeftFirst ? x->TileRows : x->TileWidth, most = Math.Min(x->K, MostSteps);
        long spans = ProductPacking.Panels(size * most, MostFloats), span = ProductPacking.Panels(ProductPacking.Panels(size, spans), width) * width;
        x->Packed = Scratch.Rent(ProductPacking.Panels(Math.Min(span, size), width) * ProductPacking.Stride(most, width));
        try
        {
            for (x->First = 0; x->First < size; x->First += span)
                for (x->Step = 0; x->Step < x->K; x->Step += MostSteps)
                {
                    (x->Count, x->Steps) = (Math.Min(span, size - x->First), Math.Min(MostSteps, x->K - x->Step));
                    (x->Panels, x->PanelStride) = (ProductPacking.Panels(x->Count, width), ProductPacking.Stride(x->Steps, width));
                    ProductParts.Divide(x);
                    context.ParallelFor((delegate* unmanaged<ProductArguments*, nint, void>)&PackPart, ProductParts.ToPack(x), x);
                    context.ParallelFor((delegate* unmanaged<ProductArguments*, nint, void>)&MultiplyPart, x->RowParts * x->ColumnParts, x, uneven: true);
                }
        }
        finally
        {
            Scratch.Return(x->Packed);
        }
    }

    private static (long Rows, long Width) Tile(VectorWidth width) => width switch
    {
        VectorWidth.Bits512 => (ProductTile.Rows<Lanes512>(), ProductTile.Width<Lanes512>()),
        VectorWidth.Portable => (ProductTile.Rows<PortableLanes>(), ProductTile.Width<PortableLanes>()),
        _ => (ProductTile.Rows<ScalarLane>(), ProductTile.Width<ScalarLane>()),
    };

    [UnmanagedCallersOnly]
    private static void PackPart(ProductArguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) ProductParts.Pack<Lanes512>(x, part);
        else if (x->Width == VectorWidth.Portable) ProductParts.Pack<PortableLanes>(x, part);
        else ProductParts.Pack<ScalarLane>(x, part);
    }

    [UnmanagedCallersOnly]
    private static void MultiplyPart(ProductArguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) ProductParts.Multiply<Lanes512>(x, part);
        else if (x->Width == VectorWidth.Portable) ProductParts.Multiply<PortableLanes>(x, part);
        else ProductParts.Multiply<ScalarLane>(x, part);
    }
}
