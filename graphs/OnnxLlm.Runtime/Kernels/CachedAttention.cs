using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Attention of new tokens over a cache, see <see cref="CachedTile"/>. What a row of the batch gives does not depend on the others, nor on how many tokens come at a time.</summary>
internal static unsafe class CachedAttention
{
    internal static readonly Kernel Plain = new("CachedAttention", &ComputePlain)
    {
        Inputs = [ElementType.Float, ElementType.Float, ElementType.Float, ElementType.Int32, ElementType.Int32],
        Outputs = Kernel.AllFloat(3),
        Integers = ["num_heads", "kv_num_heads"],
    };

    internal static readonly Kernel Rotary = new("RotaryCachedAttention", &ComputeRotary)
    {
        Inputs = [.. Plain.Inputs, ElementType.Float, ElementType.Float],
        Outputs = Kernel.AllFloat(3),
        Integers = Plain.Integers,
    };

    private static void ComputePlain(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context);
        Run(ref context, &x);
    }

    private static void ComputeRotary(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context);
        KernelTensor cos = context.Input(5);
        x.Cos = cos.Floats;
        x.Sin = context.Input(6, cos).Floats;
        if (cos.Rank != 2 || cos.Shape[1] * 2 != x.K) throw new ModelRuntimeException($"cos and sin must be [positions, {x.K / 2}]");
        for (long b = 0; b < x.B; b++)
            if (x.Past(b) + x.S > cos.Shape[0]) throw new ModelRuntimeException($"a position is not below {cos.Shape[0]}, the rows of cos and sin");
        Run(ref context, &x);
    }

    private static CachedArguments Arguments(ref KernelContext context)
    {
        KernelTensor qkv = context.Input(0), pastKey = context.Input(1), lengths = context.Input(3), total = context.Input(4);
        CachedArguments x = new() { Width = context.Width, H = context.Integer(0), G = context.Integer(1), Qkv = qkv.Floats, PastKey = pastKey.Floats, Lengths = (int*)lengths.Data };
        if (qkv.Rank != 3 || pastKey.Rank != 4) throw new ModelRuntimeException("qkv must have three dimensions, the cache four");
        (x.B, x.S, x.PastLength, x.K) = (qkv.Shape[0], qkv.Shape[1], pastKey.Shape[2], pastKey.Shape[3]);
        if (x.G <= 0 || x.H % x.G != 0 || pastKey.Shape[0] != x.B || pastKey.Shape[1] != x.G || qkv.Shape[2] != (x.H + 2 * x.G) * x.K)
            throw new ModelRuntimeException($"qkv and the cache do not fit {x.H} heads over {x.G}");
        if (lengths.Count != x.B || total.Count != 1) throw new ModelRuntimeException($"there must be {x.B} lengths and one total");
        x.PastValue = context.Input(2, pastKey).Floats;
        x.Length = Math.Max(x.PastLength, *(int*)total.Data);
        for (long b = 0; b < x.B; b++)
            if (x.Lengths[b] < 0 || x.Past(b) + x.S > x.Length || x.Past(b) > x.PastLength) throw new ModelRuntimeException($"row {b} has {x.Lengths[b] + 1L} keys and {x.S} new tokens, the cache {x.Length} positions");
        x.Y = context.Output(0, [x.B, x.S, x.H * x.K]);
        x.Key = context.Output(1, [x.B, x.G, x.Length, x.K]);
        x.Value = context.Output(2, [x.B, x.G, x.Length, x.K]);
        return x;
    }

    private static void Run(ref KernelContext context, CachedArguments* x)
    {
        x->TokensPerBlock = Math.Max(1, CachedTile.RowsPerBlock * x->G / x->H);
        x->Blocks = (x->S + x->TokensPerBlock - 1) / x->TokensPerBlock;
        if (x->Blocks > 1) context.ParallelFor((delegate* unmanaged<CachedArguments*, nint, void>)&AppendPart, x->B * x->G, x);
        context.ParallelFor((delegate* unmanaged<CachedArguments*, nint, void>)&AttendPart, x->B * x->G * x->Blocks, x, uneven: true);
    }

    [UnmanagedCallersOnly]
    private static void AppendPart(CachedArguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) CachedTile.Append<Lanes512>(x, part / x->G, part % x->G);
        else if (x->Width == VectorWidth.Portable) CachedTile.Append<PortableLanes>(x, part / x->G, part % x->G);
        else CachedTile.Append<ScalarLane>(x, part / x->G, part % x->G);
    }

    [UnmanagedCallersOnly]
    private static void AttendPart(CachedArguments* x, nint part)
    {
        if (x->Width == VectorWidth.Bits512) CachedTile.Attend<Lanes512>(x, part);
        else if (x->Width == VectorWidth.Portable) CachedTile.Attend<PortableLanes>(x, part);
        else CachedTile.Attend<ScalarLane>(x, part);
    }
}

/// <summary>B rows of S new tokens, H query heads over G key/value heads of K elements; caches [B, G, positions, K].</summary>
internal unsafe struct CachedArguments
{
    internal VectorWidth Width;
    internal long B, S, H, G, K, PastLength, Length, TokensPerBlock, Blocks;
    internal float* Qkv, PastKey, PastValue, Key, Value, Y, Cos, Sin;
    internal int* Lengths;

    /// <summary>Keys of a row before its new tokens; none where its tokens are padded.</summary>
    internal readonly long Past(long row) => Math.Max(0, Lengths[row] + 1 - S);

    /// <summary>A head of a new token in qkv: query heads first, then keys, then values.</summary>
    internal readonly float* Head(long row, long token, long head) => Qkv + ((row * S + token) * (H + 2 * G) + head) * K;
}
