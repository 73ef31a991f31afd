using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Attention of new tokens over a cache, see <see cref="CachedTile"/>: of rows that each have a sequence, or of one row of tokens that each have a slot and a position. What a token gives does not depend on
/// those beside it, nor on how many come at a time.
/// </summary>
internal static unsafe class CachedAttention
{
    internal static ImmutableArray<Kernel> Kernels { get; } = [.. Forms<FloatCache>(""), .. Forms<BFloat16Cache>("BFloat16"), .. Forms<Int8Cache>("Int8")];

    private static Kernel[] Forms<TCache>(string prefix) where TCache : unmanaged, ICacheFormat
    {
        string plain = $"{prefix}CachedAttention", rotary = $"{prefix}RotaryCachedAttention";
        return
        [
            Create<TCache>(plain, &Compute<TCache, Still, Rows>, ElementType.Int32, 0), Create<TCache>(rotary, &Compute<TCache, Turned, Rows>, ElementType.Int32, 2),
            Create<TCache>(RaggedAttention.NameOf(plain), &Compute<TCache, Still, Ragged>, ElementType.Int64, 0), Create<TCache>(RaggedAttention.NameOf(rotary), &Compute<TCache, Turned, Ragged>, ElementType.Int64, 2),
        ];
    }

    private static Kernel Create<TCache>(string name, delegate*<ref KernelContext, void> compute, ElementType places, int tables) where TCache : unmanaged, ICacheFormat => new(name, compute)
    {
        Inputs = [ElementType.Float, TCache.Type, TCache.Type, places, places, .. Kernel.AllFloat(TCache.Type == ElementType.Int8 ? tables + 2 : tables)],
        Outputs = [ElementType.Float, TCache.Type, TCache.Type],
        Integers = ["num_heads", "kv_num_heads"],
    };

    private static void Compute<TCache, TRotation, TTokens>(ref KernelContext context)
        where TCache : unmanaged, ICacheFormat where TRotation : unmanaged, IRotation where TTokens : unmanaged, ITokens
    {
        CachedArguments x = new() { Width = context.Width, Cache = TCache.Type, H = context.Integer(0), G = context.Integer(1) };
        KernelTensor qkv = context.Input(0), pastKey = context.Input(1);
        if (qkv.Rank != 3 || pastKey.Rank != 4) throw new ModelRuntimeException("qkv must have three dimensions, the cache four");
        (x.Slots, x.PastLength, x.K) = (pastKey.Shape[0], pastKey.Shape[2], pastKey.Shape[3]);
        if (x.G <= 0 || x.H % x.G != 0 || pastKey.Shape[1] != x.G || qkv.Shape[2] != (x.H + 2 * x.G) * x.K)
            throw new ModelRuntimeException($"qkv and the cache do not fit {x.H} heads over {x.G}");
        x.Qkv = qkv.Floats;
        x.PastKey = (byte*)pastKey.Data;
        x.PastValue = (byte*)context.Input(2, pastKey).Data;
        x.TokensPerBlock = Math.Max(1, CachedTile.RowsPerBlock * x.G / x.H);
        x.Blocks = (CachedBlock*)Scratch.Rent(TTokens.Most(qkv, x.TokensPerBlock) * sizeof(CachedBlock) / sizeof(float));
        try
        {
            TTokens.Place(ref context, qkv, ref x);
            if (TRotation.Turns) ReadRotation(ref context, ref x);
            if (TCache.Type == ElementType.Int8) ReadScales(ref context, ref x, TRotation.Turns ? 7 : 5);
            x.Y = context.Output(0, [qkv.Shape[0], qkv.Shape[1], x.H * x.K]);
            x.Key = (byte*)context.Output(1, [x.Slots, x.G, x.Length, x.K]);
            x.Value = (byte*)context.Output(2, [x.Slots, x.G, x.Length, x.K]);
            Run(ref context, &x);
        }
        finally
        {
            Scratch.Return((float*)x.Blocks);
        }
    }

    private static void ReadRotation(ref KernelContext context, ref CachedArguments x)
    {
        KernelTensor cos = context.Input(5);
        x.Cos = cos.Floats;
        x.Sin = context.Input(6, cos).Floats;
        if (cos.Rank != 2 || cos.Shape[1] * 2 != x.K) throw new ModelRuntimeException($"cos and sin must be [positions, {x.K / 2}]");
        for (long block = 0; block < x.BlockCount; block++)
            if (x.Blocks[block].Position + x.Blocks[block].Tokens > cos.Shape[0]) throw new ModelRuntimeException($"a position is not below {cos.Shape[0]}, the rows of cos and sin");
    }

    private static void ReadScales(ref KernelContext context, ref CachedArguments x, int first)
    {
        x.KeyScale = context.Input(first, [1, x.G, 1, x.K]);
        x.ValueScale = context.Input(first + 1, [1, x.G, 1, x.K]);
    }

    private static void Run(ref KernelContext context, CachedArguments* x)
    {
        if (x->PastKey != x->Key || x->PastValue != x->Value) context.ParallelFor((delegate* unmanaged<CachedArguments*, nint, void>)&KeepPart, x->Slots * x->G, x);
        if (x->AppendsFirst) context.ParallelFor((delegate* unmanaged<CachedArguments*, nint, void>)&AppendPart, x->BlockCount * x->G, x);
        context.ParallelFor((delegate* unmanaged<CachedArguments*, nint, void>)&AttendPart, x->BlockCount * x->G, x, uneven: true);
    }

    [UnmanagedCallersOnly]
    private static void KeepPart(CachedArguments* x, nint part) => CachedTile.Keep(x, part);

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
        if (x->Width == VectorWidth.Bits512) CachedTile.Append<Lanes512, TCache>(x, x->Blocks + part / x->G, part % x->G);
        else if (x->Width == VectorWidth.Portable) CachedTile.Append<PortableLanes, TCache>(x, x->Blocks + part / x->G, part % x->G);
        else CachedTile.Append<ScalarLane, TCache>(x, x->Blocks + part / x->G, part % x->G);
    }

    private static void Attend<TCache>(CachedArguments* x, nint part) where TCache : unmanaged, ICacheFormat
    {
        if (x->Width == VectorWidth.Bits512) CachedTile.Attend<Lanes512, TCache>(x, part);
        else if (x->Width == VectorWidth.Portable) CachedTile.Attend<PortableLanes, TCache>(x, part);
        else CachedTile.Attend<ScalarLane, TCache>(x, part);
    }
}

/// <summary>H query heads over G key/value heads of K elements; caches [slots, G, positions, K]; new tokens in blocks.</summary>
internal unsafe struct CachedArguments
{
    internal VectorWidth Width;
    internal ElementType Cache;
    internal long Slots, H, G, K, PastLength, Length, TokensPerBlock, BlockCount;
    internal byte* PastKey, PastValue, Key, Value;
    internal float* Qkv, Y, Cos, Sin;
    internal CachedBlock* Blocks;

    /// <summary>New tokens of a sequence stand in several blocks: all are written before any is attended to.</summary>
    internal bool AppendsFirst;

    /// <summary>What a byte of a head's channel stands for, [G, K]; null where the cache holds no bytes.</summary>
    internal float* KeyScale, ValueScale;

    /// <summary>A head of a new token in qkv: query heads first, then keys, then values.</summary>
    internal readonly float* Head(long token, long head) => Qkv + (token * (H + 2 * G) + head) * K;
}
