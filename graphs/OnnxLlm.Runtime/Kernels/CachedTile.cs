using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// One key/value head of a block of new tokens: their keys and values are appended, then the queries that share the head go over the keys, chunk by chunk, with
/// a softmax that is corrected as larger scores appear (Milakov and Gimelshein, 2018). Chunks begin at fixed positions, so that sums have one order.
/// </summary>
internal static unsafe class CachedTile
{
    /// <summary>Queries of a block, and keys of a chunk: its keys and values (32 KB with heads of 64) then stay in a cache while the queries pass.</summary>
    internal const long RowsPerBlock = 48;

    private const long Chunk = CachedRows.Chunk;

    /// <summary>What is in the cache already, where past and present are not one buffer: a head of a slot.</summary>
    internal static void Keep(CachedArguments* x, long head)
    {
        long size = x->K * x->Cache.Size(), past = x->PastLength * size, present = x->Length * size;
        if (x->Key != x->PastKey) Buffer.MemoryCopy(x->PastKey + head * past, x->Key + head * present, past, past);
        if (x->Value != x->PastValue) Buffer.MemoryCopy(x->PastValue + head * past, x->Value + head * present, past, past);
    }

    internal static void Append<T, TCache>(CachedArguments* x, CachedBlock* block, long group) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        long bytes = x->K * TCache.Size, at = ((block->Slot * x->G + group) * x->Length + block->Position) * bytes;
        float* turned = Scratch.Rent(x->K);
        for (long token = 0; token < block->Tokens; token++, at += bytes)
        {
            Turn<T>(x, x->Head(block->First + token, x->H + group), block->Position + token, turned);
            TCache.Write(turned, x->KeyScale + group * x->K, x->Key + at, x->K);
            TCache.Write(x->Head(block->First + token, x->H + x->G + group), x->ValueScale + group * x->K, x->Value + at, x->K);
        }
        Scratch.Return(turned);
    }

    internal static void Attend<T, TCache>(CachedArguments* x, long part) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        CachedBlock* block = x->Blocks + part / x->G;
        if (!x->AppendsFirst) Append<T, TCache>(x, block, part % x->G);
        if (x->K % T.Count == 0) Attend<T, TCache>(x, block, part % x->G);
        else Attend<ScalarLane, TCache>(x, block, part % x->G);
    }

    private static void Attend<T, TCache>(CachedArguments* x, CachedBlock* block, long group) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        long heads = x->H / x->G, rows = block->Tokens * heads, past = block->Position, keys = past + block->Tokens, room = TCache.Room(Chunk * x->K), bytes = x->K * TCache.Size;
        byte* key = x->Key + (block->Slot * x->G + group) * x->Length * bytes, value = x->Value + (block->Slot * x->G + group) * x->Length * bytes;
        float* chunkRoom = Scratch.Rent(room + 2 * rows * x->K + 2 * rows + rows * Chunk);
        float* queries = chunkRoom + room, sums = queries + rows * x->K, largest = sums + rows * x->K, norms = largest + rows, scores = norms + rows;
        float scale = Exponential.Log2E / MathF.Sqrt(x->K);
        for (long i = 0; i < rows; i++)
        {
            Turn<T>(x, x->Head(block->First + i / heads, group * heads + i % heads), past + i / heads, queries + i * x->K);
            RowMath.Scale<T>(queries + i * x->K, scale, x->K);
            (largest[i], norms[i]) = (float.NegativeInfinity, 0);
        }
        new Span<float>(sums, (int)(rows * x->K)).Clear();
        for (long start = 0; start < keys; start += Chunk)
        {
            long longest = Math.Min(Chunk, keys - start), after = Math.Clamp(keys - start - Chunk, 0, Chunk) * bytes;
            byte* nextKey = key + (start + Chunk) * bytes, nextValue = value + (start + Chunk) * bytes;
            var keysAhead = new Ahead(nextKey, after, (rows + 1) / 2 * Chunk / CachedRows.KeysTogether);
            float* chunk = TCache.Read<T>(key + start * bytes, x->KeyScale + group * x->K, longest, x->K, chunkRoom);
            for (long i = 0, count; i < rows; i += count)
            {
                long seen = Seen(past, heads, start, i);
                count = i + 1 < rows && Seen(past, heads, start, i + 1) == seen ? 2 : 1;
                if (seen > 0) CachedRows.Score<T>(queries + i * x->K, count, chunk, seen, x->K, scores + i * Chunk, ref keysAhead);
            }
            var valuesAhead = new Ahead(nextValue, after, (rows + 1) / 2 * Chunk / 2);
            chunk = TCache.Read<T>(value + start * bytes, x->ValueScale + group * x->K, longest, x->K, chunkRoom);
            for (long i = 0, count; i < rows; i += count)
            {
                long seen = Seen(past, heads, start, i);
                count = i + 1 < rows && Seen(past, heads, start, i + 1) == seen ? 2 : 1;
                if (seen > 0) CachedRows.Add<T>(scores + i * Chunk, count, chunk, seen, x->K, sums + i * x->K, largest + i, norms + i, ref valuesAhead);
            }
        }
        for (long i = 0; i < rows; i++)
        {
            float* y = x->Y + ((block->First + i / heads) * x->H + group * heads + i % heads) * x->K;
            RowMath.Scale<T>(sums + i * x->K, 1 / norms[i], x->K);
            Buffer.MemoryCopy(sums + i * x->K, y, x->K * sizeof(float), x->K * sizeof(float));
        }
        Scratch.Return(chunkRoom);
    }

    /// <summary>Keys of the chunk from <paramref name="start"/> on that a query sees; none where not positive.</summary>
    private static long Seen(long past, long heads, long start, long query) => Math.Min(Chunk, past + query / heads + 1 - start);

    /// <summary>A head turned by its position, or copied where nothing turns.</summary>
    private static void Turn<T>(CachedArguments* x, float* head, long position, float* result) where T : unmanaged, ILanes<T>
    {
        long half = x->K / 2;
        if (x->Cos == null) Buffer.MemoryCopy(head, result, x->K * sizeof(float), x->K * sizeof(float));
        else RotaryEmbedding.Turn<T>(head, x->Cos + position * half, x->Sin + position * half, result, half);
    }
}
