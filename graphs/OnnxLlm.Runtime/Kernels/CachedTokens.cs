namespace OnnxLlm.Runtime.Kernels;

/// <summary>New tokens of one sequence that are looked at together: from the first, among all new tokens, at a position of a slot.</summary>
internal record struct CachedBlock(long First, long Tokens, long Slot, long Position);

/// <summary>Whether queries and keys are turned by their positions.</summary>
internal interface IRotation
{
    static abstract bool Turns { get; }
}

internal readonly struct Still : IRotation
{
    public static bool Turns => false;
}

internal readonly struct Turned : IRotation
{
    public static bool Turns => true;
}

/// <summary>How a call says which new token belongs where.</summary>
internal interface ITokens
{
    /// <summary>Blocks at most.</summary>
    static abstract long Most(in KernelTensor qkv, long tokensPerBlock);

    /// <summary>Fills in the blocks, and the positions of the cache behind this call.</summary>
    static abstract void Place(ref KernelContext context, in KernelTensor qkv, ref CachedArguments x);
}

/// <summary>qkv [B, S, ·]: rows of S tokens behind what each has in the cache, one less than key_lengths [B] with them; at least as many positions as total.</summary>
internal readonly unsafe struct Rows : ITokens
{
    public static long Most(in KernelTensor qkv, long tokensPerBlock) => qkv.Shape[0] * ((qkv.Shape[1] + tokensPerBlock - 1) / tokensPerBlock);

    public static void Place(ref KernelContext context, in KernelTensor qkv, ref CachedArguments x)
    {
        long rows = qkv.Shape[0], tokens = qkv.Shape[1];
        KernelTensor lengths = context.Input(3), total = context.Input(4);
        if (rows != x.Slots) throw new ModelRuntimeException($"qkv has {rows} rows, the cache {x.Slots}");
        if (lengths.Count != rows || total.Count != 1) throw new ModelRuntimeException($"there must be {rows} lengths and one total");
        x.Length = Math.Max(x.PastLength, *(int*)total.Data);
        x.AppendsFirst = tokens > x.TokensPerBlock;
        for (long row = 0; row < rows; row++)
        {
            // Where a row has fewer keys than new tokens, the last of these are padding.
            long keys = ((int*)lengths.Data)[row] + 1L, past = Math.Max(0, keys - tokens);
            if (keys < 1 || past + tokens > x.Length || past > x.PastLength) throw new ModelRuntimeException($"row {row} has {keys} keys and {tokens} new tokens, the cache {x.Length} positions");
            for (long first = 0; first < tokens; first += x.TokensPerBlock)
                x.Blocks[x.BlockCount++] = new(row * tokens + first, Math.Min(x.TokensPerBlock, tokens - first), row, past + first);
        }
    }
}

/// <summary>qkv [1, N, ·]: tokens with a slot and a position each, both [1, N]. Neighbours that follow each other in a slot share a block.</summary>
internal readonly unsafe struct Ragged : ITokens
{
    public static long Most(in KernelTensor qkv, long tokensPerBlock) => qkv.Shape[1];

    public static void Place(ref KernelContext context, in KernelTensor qkv, ref CachedArguments x)
    {
        if (qkv.Shape[0] != 1) throw new ModelRuntimeException($"the tokens must be one row, there are {qkv.Shape[0]}");
        var slots = (long*)context.Input(3, [1, qkv.Shape[1]]);
        var positions = (long*)context.Input(4, [1, qkv.Shape[1]]);
        x.Length = x.PastLength;
        for (long token = 0; token < qkv.Shape[1]; token++)
        {
            long slot = slots[token], position = positions[token];
            if ((ulong)slot >= (ulong)x.Slots || (ulong)position >= (ulong)x.Length)
                throw new ModelRuntimeException($"token {token} is at position {position} of slot {slot}, the cache has {x.Length} positions in {x.Slots} slots");
            CachedBlock* last = x.Blocks + x.BlockCount - 1;
            if (x.BlockCount > 0 && last->Slot == slot && last->Position + last->Tokens == position && last->Tokens < x.TokensPerBlock) last->Tokens++;
            else Begin(ref x, new(token, 1, slot, position));
        }
    }

    private static void Begin(ref CachedArguments x, CachedBlock block)
    {
        for (long other = 0; other < x.BlockCount && !x.AppendsFirst; other++) x.AppendsFirst = x.Blocks[other].Slot == block.Slot;
        x.Blocks[x.BlockCount++] = block;
    }
}
