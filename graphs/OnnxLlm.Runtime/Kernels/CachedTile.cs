using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
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

    private const long Chunk = 64, KeysTogether = 4;

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
            var keysAhead = new Ahead(nextKey, after, rows * Chunk / KeysTogether);
            float* chunk = TCache.Read<T>(key + start * bytes, x->KeyScale + group * x->K, longest, x->K, chunkRoom);
            for (long i = 0; i < rows; i++)
                if (past + i / heads >= start) Scores<T>(queries + i * x->K, chunk, x->K, scores + i * Chunk, Math.Min(Chunk, past + i / heads + 1 - start), ref keysAhead);
            var valuesAhead = new Ahead(nextValue, after, rows * Chunk / 2);
            chunk = TCache.Read<T>(value + start * bytes, x->ValueScale + group * x->K, longest, x->K, chunkRoom);
            for (long i = 0; i < rows; i++)
                if (past + i / heads >= start) Add<T>(scores + i * Chunk, Math.Min(Chunk, past + i / heads + 1 - start), chunk, x->K, sums + i * x->K, ref largest[i], ref norms[i], ref valuesAhead);
        }
        for (long i = 0; i < rows; i++)
        {
            float* y = x->Y + ((block->First + i / heads) * x->H + group * heads + i % heads) * x->K;
            RowMath.Scale<T>(sums + i * x->K, 1 / norms[i], x->K);
            Buffer.MemoryCopy(sums + i * x->K, y, x->K * sizeof(float), x->K * sizeof(float));
        }
        Scratch.Return(chunkRoom);
    }

    /// <summary>
    /// The next chunk is asked for while this one is computed with, a few lines at a time: a processor waits for some ten lines of memory at once, and who asks for more waits
    /// before it goes on.
    /// </summary>
    private struct Ahead(byte* next, long bytes, long times)
    {
        private const long Line = 64;

        private readonly byte* _end = next + bytes;
        private readonly long _step = (bytes + Line * times - 1) / (Line * times) * Line;
        private byte* _next = next;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal void Ask()
        {
            byte* line = _next, to = line + _step < _end ? line + _step : _end;
            for (; line < to; line += Line) Sse.Prefetch0(line);
            _next = line;
        }
    }

    /// <summary>A head turned by its position, or copied where nothing turns.</summary>
    private static void Turn<T>(CachedArguments* x, float* head, long position, float* result) where T : unmanaged, ILanes<T>
    {
        long half = x->K / 2;
        if (x->Cos == null) Buffer.MemoryCopy(head, result, x->K * sizeof(float), x->K * sizeof(float));
        else RotaryEmbedding.Turn<T>(head, x->Cos + position * half, x->Sin + position * half, result, half);
    }

    /// <summary>Products of a query with keys, four at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores<T>(float* query, float* key, long size, float* scores, long count, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        for (; i <= count - KeysTogether; i += KeysTogether, key += KeysTogether * size)
        {
            ahead.Ask();
            T a = T.All(0), b = a, c = a, d = a;
            float* k1 = key + size, k2 = k1 + size, k3 = k2 + size;
            for (long j = 0; j < size; j += T.Count)
            {
                T q = T.Load(query + j);
                a = T.MultiplyAdd(q, T.Load(key + j), a);
                b = T.MultiplyAdd(q, T.Load(k1 + j), b);
                c = T.MultiplyAdd(q, T.Load(k2 + j), c);
                d = T.MultiplyAdd(q, T.Load(k3 + j), d);
            }
            T.StoreSums(a, b, c, d, scores + i);
        }
        for (; i < count; i++, key += size) scores[i] = RowMath.Dot<T>(query, key, size);
    }

    /// <summary>sums += Σ 2^(score − largest) · value, after what is there was brought to the new largest score.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T>(float* scores, long count, float* value, long size, float* sums, ref float largest, ref float norm, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        float before = largest, now = MathF.Max(before, RowMath.Largest<T>(scores, count));
        for (long i = count; i % T.Count != 0; i++) scores[i] = float.NegativeInfinity;
        T total = T.All(0), shift = T.All(now);
        for (long i = 0; i < count; i += T.Count)
        {
            T term = T.Exp2(T.Load(scores + i) - shift);
            T.Store(term, scores + i);
            total += term;
        }
        T correction = T.Exp2(T.All(before - now));
        (largest, norm) = (now, norm * T.Largest(correction) + T.Sum(total));
        long j = 0;
        for (; j <= size - 8 * T.Count; j += 8 * T.Count) Eight<T>(scores, count, value + j, size, sums + j, correction, ref ahead);
        for (; j <= size - 4 * T.Count; j += 4 * T.Count) Four<T>(scores, count, value + j, size, sums + j, correction, ref ahead);
        for (; j < size; j += T.Count)
        {
            T sum = T.Load(sums + j) * correction;
            for (long i = 0; i < count; i++) sum = T.MultiplyAdd(T.All(scores[i]), T.Load(value + i * size + j), sum);
            T.Store(sum, sums + j);
        }
    }

    /// <summary>Keys in two chains, so that eight sums are under way here too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<T>(float* terms, long count, float* value, long stride, float* sums, T f, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.All(0), g = e, h = e, k = e;
        for (long i = 0; i < count; i += 2, value += 2 * stride)
        {
            ahead.Ask();
            T p = T.All(terms[i]);
            a = T.MultiplyAdd(p, T.Load(value), a);
            b = T.MultiplyAdd(p, T.Load(value + T.Count), b);
            c = T.MultiplyAdd(p, T.Load(value + 2 * T.Count), c);
            d = T.MultiplyAdd(p, T.Load(value + 3 * T.Count), d);
            if (i + 1 == count) break;
            T q = T.All(terms[i + 1]);
            float* other = value + stride;
            e = T.MultiplyAdd(q, T.Load(other), e);
            g = T.MultiplyAdd(q, T.Load(other + T.Count), g);
            h = T.MultiplyAdd(q, T.Load(other + 2 * T.Count), h);
            k = T.MultiplyAdd(q, T.Load(other + 3 * T.Count), k);
        }
        T.Store(a + e, sums);
        T.Store(b + g, sums + T.Count);
        T.Store(c + h, sums + 2 * T.Count);
        T.Store(d + k, sums + 3 * T.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eight<T>(float* terms, long count, float* value, long stride, float* sums, T f, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.Load(sums + 4 * T.Count) * f, g = T.Load(sums + 5 * T.Count) * f, h = T.Load(sums + 6 * T.Count) * f, k = T.Load(sums + 7 * T.Count) * f;
        for (long i = 0; i < count; i++, value += stride)
        {
            ahead.Ask();
            T p = T.All(terms[i]);
            a = T.MultiplyAdd(p, T.Load(value), a);
            b = T.MultiplyAdd(p, T.Load(value + T.Count), b);
            c = T.MultiplyAdd(p, T.Load(value + 2 * T.Count), c);
            d = T.MultiplyAdd(p, T.Load(value + 3 * T.Count), d);
            e = T.MultiplyAdd(p, T.Load(value + 4 * T.Count), e);
            g = T.MultiplyAdd(p, T.Load(value + 5 * T.Count), g);
            h = T.MultiplyAdd(p, T.Load(value + 6 * T.Count), h);
            k = T.MultiplyAdd(p, T.Load(value + 7 * T.Count), k);
        }
        T.Store(a, sums);
        T.Store(b, sums + T.Count);
        T.Store(c, sums + 2 * T.Count);
        T.Store(d, sums + 3 * T.Count);
        T.Store(e, sums + 4 * T.Count);
        T.Store(g, sums + 5 * T.Count);
        T.Store(h, sums + 6 * T.Count);
        T.Store(k, sums + 7 * T.Count);
    }
}
