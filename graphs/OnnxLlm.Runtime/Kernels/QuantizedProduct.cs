using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// The product with 8-bit weights. Activations are rounded, so that products are added in integers, and the weights are read once for some rows of activations. What a
/// row gives does not depend on the rows beside it. <see cref="QuantizedForm"/> says by which instructions.
/// </summary>
internal static unsafe class QuantizedProduct
{
    /// <summary>Bytes of weights in a part: it stays in the second-level cache while all activations pass.</summary>
    private const long BytesPerPart = 48 * 1024;

    /// <summary>Rows of activations from which on they are rounded by several threads.</summary>
    private const long ManyRows = 16;

    /// <summary>Null where the machine lacks the instructions: there the definition runs.</summary>
    internal static Kernel? Kernel { get; } = !Avx2.IsSupported || !Fma.IsSupported ? null : new("QuantizedProduct", &Compute)
    {
        Inputs = [ElementType.Float, ElementType.UInt8, ElementType.Float],
        Outputs = Kernel.AllFloat(1),
    };

    /// <summary>The kernel is there and takes weights in the order of <see cref="InterleavedWeights"/> with gain.</summary>
    internal static bool Interleaves => Kernel is not null && QuantizedForms.Best == QuantizedForm.Vnni;

    /// <summary>The kernel is there and takes scales of 16 bits.</summary>
    internal static bool TakesNarrowScales => Kernel is not null && QuantizedForms.Best != QuantizedForm.Avx2;

    private static void Compute(ref KernelContext context)
    {
        KernelTensor a = context.Input(0), values = context.Input(1);
        QuantizedArguments x = new() { M = a.Rows, K = a.Width, N = values.Shape[0], Blocks = values.Shape[1], Block = values.Shape[2], A = a.Floats, Values = (byte*)values.Data };
        x.IsInterleaved = values.Rank == InterleavedWeights.Rank;
        if (x.IsInterleaved) (x.N, x.Block) = (x.N * InterleavedWeights.Rows, x.Block * InterleavedWeights.Together);
        else if (values.Rank != 3) throw new ModelRuntimeException("the weights must have three dimensions: rows, blocks, values of a block");
        if (x.Block == 0 || x.Block % QuantizedTile.Chunk != 0) throw new ModelRuntimeException($"blocks must be multiples of {QuantizedTile.Chunk} long, not {x.Block}");
        if (a.Rank == 0 || x.K == 0 || x.Blocks != (x.K + x.Block - 1) / x.Block) throw new ModelRuntimeException($"weights of {x.Blocks} blocks of {x.Block} do not fit rows of {x.K} activations");
        KernelTensor scales = context.Input(2);
        x.HasNarrowScales = x.IsInterleaved ? scales.Width == InterleavedWeights.NarrowScales : Avx512BW.IsSupported && x.N >= QuantizedTile512.Lanes && 2 * scales.Width == x.Blocks;
        KernelContext.Require(2, scales, x.IsInterleaved ? [x.N / InterleavedWeights.Rows, x.Blocks, x.FloatsOfScales] : [x.N, x.HasNarrowScales ? x.Blocks / 2 : x.Blocks]);
        x.Scales = scales.Floats;
        a.Shape[a.Rank - 1] = x.N;
        x.Y = context.Output(0, a);
        if (x.M > 0 && x.N > 0) Multiply(ref context, &x);
    }

    private static void Multiply(ref KernelContext context, QuantizedArguments* x)
    {
        x->Form = x->IsInterleaved ? QuantizedForm.Vnni : x->HasNarrowScales ? QuantizedForm.Avx512 : QuantizedForms.Of(x->N);
        long chunks = x->Padded / QuantizedTile.Chunk, tile = QuantizedForms.Lanes(x->Form);
        x->Packed = (short*)Scratch.Rent(x->M * (x->Padded / 2 + 2 * chunks));
        x->Starts = (int*)(x->Packed + x->M * x->Padded);
        x->RowScales = x->ChunkScales = (float*)(x->Starts + x->M * chunks);
        try
        {
            long groups = x->Form == QuantizedForm.Avx2 ? QuantizedActivations.Groups(x->M) : QuantizedTiles.Groups(x->M);
            if (x->M >= ManyRows) context.ParallelFor((delegate* unmanaged<QuantizedArguments*, nint, void>)&PackPart, groups, x);
            else for (long group = 0; group < groups; group++) Pack(x, group);
            x->RowsPerPart = Math.Max(1, BytesPerPart / x->Padded / tile) * tile;
            context.ParallelFor((delegate* unmanaged<QuantizedArguments*, nint, void>)&MultiplyPart, (x->N + x->RowsPerPart - 1) / x->RowsPerPart, x, uneven: true);
        }
        finally
        {
            Scratch.Return((float*)x->Packed);
        }
    }

    private static void Pack(QuantizedArguments* x, long group)
    {
        if (x->Form == QuantizedForm.Vnni) QuantizedActivationsVnni.Pack(x, group);
        else if (x->Form == QuantizedForm.Avx512) QuantizedActivations512.Pack(x, group);
        else QuantizedActivations.Pack(x, group);
    }

    [UnmanagedCallersOnly]
    private static void PackPart(QuantizedArguments* x, nint group) => Pack(x, group);

    [UnmanagedCallersOnly]
    private static void MultiplyPart(QuantizedArguments* x, nint part)
    {
        long first = part * x->RowsPerPart, end = Math.Min(first + x->RowsPerPart, x->N);
        if (x->Form == QuantizedForm.Vnni && QuantizedRowVnni.Takes(x)) QuantizedRowVnni.Multiply(x, first, end);
        else if (x->Form == QuantizedForm.Vnni) QuantizedTiles.Multiply<QuantizedTileVnni>(x, first, end);
        else if (x->Form == QuantizedForm.Avx512 && QuantizedRow512.Takes(x)) QuantizedRow512.Multiply(x, first, end);
        else if (x->Form == QuantizedForm.Avx512) QuantizedTiles.Multiply<QuantizedTile512>(x, first, end);
        else for (long group = 0; group < QuantizedActivations.Groups(x->M); group++) QuantizedTile.Multiply(x, group, first, end);
    }
}

/// <summary>y[M, N] = a[M, K]·Wᵀ with W [N, blocks, block].</summary>
internal unsafe struct QuantizedArguments
{
    internal long M, N, K, Blocks, Block, RowsPerPart;
    internal float* A, Scales, Y;
    internal byte* Values;

    /// <summary>Weights and scales are in the order of <see cref="InterleavedWeights"/>.</summary>
    internal bool IsInterleaved;

    /// <summary>Scales have 16 bits (bfloat16).</summary>
    internal bool HasNarrowScales;

    internal QuantizedForm Form;

    /// <summary>Activations in 16 bits (in 8 where there are VNNI), in the order in which the tiles read them, what sums of chunks start at, and what one stands for, by row or by chunk.</summary>
    internal short* Packed;
    internal int* Starts;
    internal float* RowScales, ChunkScales;

    /// <summary>K with the padding of the last block.</summary>
    internal readonly long Padded => Blocks * Block;

    /// <summary>Floats whose place eight scales take.</summary>
    internal readonly long FloatsOfScales => HasNarrowScales ? InterleavedWeights.NarrowScales : InterleavedWeights.Rows;

    /// <summary>The scales of a row of weights, or, interleaved, from a multiple of eight on.</summary>
    internal readonly float* ScalesOf(long row) => Scales + row * Blocks * FloatsOfScales / InterleavedWeights.Rows;
}
