using System.Runtime.InteropServices;
using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Attention of new tokens over a cache, see <see cref="CachedTile"/>. What a row of the batch gives does not depend on the others, nor on how many tokens come at a time.</summary>
internal static unsafe class CachedAttention
{
    internal static readonly Kernel Plain = Create("CachedAttention", &ComputePlain, ElementType.Float, []);

    internal static readonly Kernel Rotary = Create("RotaryCachedAttention", &ComputeRotary, ElementType.Float, [ElementType.Float, ElementType.Float]);

    internal static readonly Kernel BFloat16Plain = Create("BFloat16CachedAttention", &ComputeBFloat16Plain, ElementType.BFloat16, []);

    internal static readonly Kernel BFloat16Rotary = Create("BFloat16RotaryCachedAttention", &ComputeBFloat16Rotary, ElementType.BFloat16, [ElementType.Float, ElementType.Float]);

    internal static readonly Kernel Int8Plain = Create("Int8CachedAttention", &ComputeInt8Plain, ElementType.Int8, [ElementType.Float, ElementType.Float]);

    internal static readonly Kernel Int8Rotary = Create(
        "Int8RotaryCachedAttention", &ComputeInt8Rotary, ElementType.Int8, [ElementType.Float, ElementType.Float, ElementType.Float, ElementType.Float]);

    private static Kernel Create(string name, delegate*<ref KernelContext, void> compute, ElementType cache, ReadOnlySpan<ElementType> tables) => new(name, compute)
    {
        Inputs = [ElementType.Float, cache, cache, ElementType.Int32, ElementType.Int32, .. tables],
        Outputs = [ElementType.Float, cache, cache],
        Integers = ["num_heads", "kv_num_heads"],
    };

    private static void ComputePlain(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.Float);
        Run(ref context, &x);
    }

    private static void ComputeRotary(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.Float);
        ReadRotation(ref context, ref x);
        Run(ref context, &x);
    }

    private static void ComputeBFloat16Plain(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.BFloat16);
        Run(ref context, &x);
    }

    private static void ComputeBFloat16Rotary(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.BFloat16);
        ReadRotation(ref context, ref x);
        Run(ref context, &x);
    }

    private static void ComputeInt8Plain(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.Int8);
        ReadScales(ref context, ref x, first: 5);
        Run(ref context, &x);
    }

    private static void ComputeInt8Rotary(ref KernelContext context)
    {
        CachedArguments x = Arguments(ref context, ElementType.Int8);
        ReadRotation(ref context, ref x);
        ReadScales(ref context, ref x, first: 7);
        Run(ref context, &x);
    }

    private static CachedArguments Arguments(ref KernelContext context, ElementType cache)
    {
        KernelTensor qkv = context.Input(0), pastKey = context.Input(1), lengths = context.Input(3), total = context.Input(4);
        CachedArguments x = new() { Width = context.Width, Cache = cache, H = context.Integer(0), G = context.Integer(1), Qkv = qkv.Floats, PastKey = (byte*)pastKey.Data, Lengths = (int*)lengths.Data };
        if (qkv.Rank != 3 || pastKey.Rank != 4) throw new ModelRuntimeException("qkv must have three dimensions, the cache four");
        (x.B, x.S, x.PastLength, x.K) = (qkv.Shape[0], qkv.Shape[1], pastKey.Shape[2], pastKey.Shape[3]);
        if (x.G <= 0 || x.H % x.G != 0 || pastKey.Shape[0] != x.B || pastKey.Shape[1] != x.G || qkv.Shape[2] != (x.H + 2 * x.G) * x.K)
            throw new ModelRuntimeException($"qkv and the cache do not fit {x.H} heads over {x.G}");
        if (lengths.Count != x.B || total.Count != 1) throw new ModelRuntimeException($"there must be {x.B} lengths and one total");
        x.PastValue = (byte*)context.Input(2, pastKey).Data;
        x.Length = Math.Max(x.PastLength, *(int*)total.Data);
        for (long b = 0; b < x.B; b++)
            if (x.Lengths[b] < 0 || x.Past(b) + x.S > x.Length || x.Past(b) > x.PastLength) throw new ModelRuntimeException($"row {b} has {x.Lengths[b] + 1L} keys and {x.S} new tokens, the cache {x.Length} positions");
        x.Y = context.Output(0, [x.B, x.S, x.H * x.K]);
        x.Key = (byte*)context.Output(1, [x.B, x.G, x.Length, x.K]);
        x.Value = (byte*)context.Output(2, [x.B, x.G, x.Length, x.K]);
        return x;
    }

    private static void ReadRotation(ref KernelContext context, ref CachedArguments x)
    {
        KernelTensor cos = context.Input(5);
        x.Cos = cos.Floats;
        x.Sin = context.Input(6, cos).Floats;
        if (cos.Rank != 2 || cos.Shape[1] * 2 != x.K) throw new ModelRuntimeException($"cos and sin must be [positions, {x.K / 2}]");
        for (long b = 0; b < x.B; b++)
            if (x.Past(b) + x.S > cos.Shape[0]) throw new ModelRuntimeException($"a position is not below {cos.Shape[0]}, the rows of cos and sin");
    }

    private static void ReadScales(ref KernelContext context, ref CachedArguments x, int first)
    {
        x.KeyScale = context.Input(first, [1, x.G, 1, x.K]);
        x.ValueScale = context.Input(first + 1, [1, x.G, 1, x.K]);
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
        if (x->Cache == ElementType.BFloat16) Append<BFloat16Cache>(x, part);
        else if (x->Cache == ElementType.Int8) Append<Int8Cache>(x, part);
        else Append<FloatCache>(x, part);
    }

    [UnmanagedCallersOnly]
    private static void AttendPart(CachedArguments* x, nint part)
    {
        if (x->Cache == ElementType.BFloat16) Attend<BFloat16Cache>(x, part);
        else if (x->Cache == ElementType.Int8) Attend<Int8Cache>(x, part);
        else Attend<FloatCache>(x, part);
    }

    private static void Append<TCache>(CachedArguments* x, nint part) where TCache : unmanaged, ICacheFormat
    {
        if (x->Width == VectorWidth.Bits512) CachedTile.Append<Lanes512, TCache>(x, part / x->G, part % x->G);
        else if (x->Width == VectorWidth.Portable) CachedTile.Append<PortableLanes, TCache>(x, part / x->G, part % x->G);
        else CachedTile.Append<ScalarLane, TCache>(x, part / x->G, part % x->G);
    }

    private static void Attend<TCache>(CachedArguments* x, nint part) where TCache : unmanaged, ICacheFormat
    {
        if (x->Width == VectorWidth.Bits512) CachedTile.Attend<Lanes512, TCache>(x, part);
        else if (x->Width == VectorWidth.Portable) CachedTile.Attend<PortableLanes, TCache>(x, part);
        else CachedTile.Attend<ScalarLane, TCache>(x, part);
    }
}

/// <summary>B rows of S new tokens, H query heads over G key/value heads of K elements; caches [B, G, positions, K].</summary>
internal unsafe struct CachedArguments
{
    internal VectorWidth Width;
    internal ElementType Cache;
    internal long B, S, H, G, K, PastLength, Length, TokensPerBlock, Blocks;
    internal byte* PastKey, PastValue, Key, Value;
    internal float* Qkv, Y, Cos, Sin;
    internal int* Lengths;

    /// <summary>What a byte of a head's channel stands for, [G, K]; null where the cache holds no bytes.</summary>
    internal float* KeyScale, ValueScale;

    /// <summary>Keys of a row before its new tokens; none where its tokens are padded.</summary>
    internal readonly long Past(long row) => Math.Max(0, Lengths[row] + 1 - S);

    /// <summary>A head of a new token in qkv: query heads first, then keys, then values.</summary>
    internal readonly float* Head(long row, long token, long head) => Qkv + ((row * S + token) * (H + 2 * G) + head) * K;
}
