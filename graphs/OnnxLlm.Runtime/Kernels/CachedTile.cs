using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// One key/value head of one row: the new keys and values are appended, then blocks of the queries that share the head go over the keys, chunk by chunk, with
/// a softmax that is corrected as larger scores appear (Milakov and Gimelshein, 2018). Chunks begin at fixed positions, so that sums have one order.
/// </summary>
internal static unsafe class CachedTile
{
    /// <summary>Queries of a block, and keys of a chunk: its keys and values (32 KB with heads of 64) then stay in a cache while the queries pass.</summary>
    internal const long RowsPerBlock = 48;

    private const long Chunk = 64;

    internal static void Append<T, TCache>(CachedArguments* x, long row, long group) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        long past = x->Past(row), bytes = x->K * TCache.Size, cache = (row * x->G + group) * x->Length * bytes, old = (row * x->G + group) * x->PastLength * bytes;
        Keep(x->PastKey + old, x->Key + cache, past * bytes);
        Keep(x->PastValue + old, x->Value + cache, past * bytes);
        float* turned = Scratch.Rent(x->K);
        for (long token = 0; token < x->S; token++)
        {
            long at = cache + (past + token) * bytes;
            Turn<T>(x, x->Head(row, token, x->H + group), past + token, turned);
            TCache.Write(turned, x->KeyScale + group * x->K, x->Key + at, x->K);
            TCache.Write(x->Head(row, token, x->H + x->G + group), x->ValueScale + group * x->K, x->Value + at, x->K);
        }
        Scratch.Return(turned);
    }

    /// <summary>What is in the cache already, where past and present are not one buffer.</summary>
    private static void Keep(byte* past, byte* present, long bytes)
    {
        if (past != present && bytes > 0) Buffer.MemoryCopy(past, present, bytes, bytes);
    }

    internal static void Attend<T, TCache>(CachedArguments* x, long part) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        long head = part / x->Blocks, first = part % x->Blocks * x->TokensPerBlock, tokens = Math.Min(x->TokensPerBlock, x->S - first);
        if (x->Blocks == 1) Append<T, TCache>(x, head / x->G, head % x->G);
        if (x->K % T.Count == 0) Attend<T, TCache>(x, head / x->G, head % x->G, first, tokens);
        else Attend<ScalarLane, TCache>(x, head / x->G, head % x->G, first, tokens);
    }

    private static void Attend<T, TCache>(CachedArguments* x, long row, long group, long first, long tokens) where T : unmanaged, ILanes<T> where TCache : unmanaged, ICacheFormat
    {
        long heads = x->H / x->G, rows = tokens * heads, past = x->Past(row), keys = past + first + tokens, room = TCache.Room(Chunk * x->K), bytes = x->K * TCache.Size;
        byte* key = x->Key + (row * x->G + group) * x->Length * bytes, value = x->Value + (row * x->G + group) * x->Length * bytes;
        float* keyRoom = Scratch.Rent(2 * room + 2 * rows * x->K + 2 * rows + Chunk), valueRoom = keyRoom + room;
        float* queries = valueRoom + room, sums = queries + rows * x->K, largest = sums + rows * x->K, norms = largest + rows, scores = norms + rows;
        float scale = Exponential.Log2E / MathF.Sqrt(x->K);
        for (long i = 0; i < rows; i++)
        {
            long token = first + i / heads;
            Turn<T>(x, x->Head(row, token, group * heads + i % heads), past + token, queries + i * x->K);
            RowMath.Scale<T>(queries + i * x->K, scale, x->K);
            (largest[i], norms[i]) = (float.NegativeInfinity, 0);
        }
        new Span<float>(sums, (int)(rows * x->K)).Clear();
        for (long start = 0; start < keys; start += Chunk)
        {
            long longest = Math.Min(Chunk, keys - start), after = Math.Clamp(keys - start - Chunk, 0, Chunk) * bytes;
            byte* nextKey = key + (start + Chunk) * bytes, nextValue = value + (start + Chunk) * bytes;
            float* chunkKeys = TCache.Read<T>(key + start * bytes, x->KeyScale + group * x->K, longest, x->K, keyRoom);
            float* chunkValues = TCache.Read<T>(value + start * bytes, x->ValueScale + group * x->K, longest, x->K, valueRoom);
            for (long i = 0; i < rows; i++)
            {
                long count = Math.Min(Chunk, past + first + i / heads + 1 - start);
                if (count <= 0) continue;
                AskFor(nextKey, after * i / rows, after * (i + 1) / rows);
                Scores<T>(queries + i * x->K, chunkKeys, x->K, scores, count);
                AskFor(nextValue, after * i / rows, after * (i + 1) / rows);
                Add<T>(scores, count, chunkValues, x->K, sums + i * x->K, ref largest[i], ref norms[i]);
            }
        }
        for (long i = 0; i < rows; i++)
        {
            float* y = x->Y + ((row * x->S + first + i / heads) * x->H + group * heads + i % heads) * x->K;
            RowMath.Scale<T>(sums + i * x->K, 1 / norms[i], x->K);
            Buffer.MemoryCopy(sums + i * x->K, y, x->K * sizeof(float), x->K * sizeof(float));
        }
        Scratch.Return(keyRoom);
    }

    /// <summary>Asks for the share of a query in the next chunk: while all share it, it comes from memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AskFor(byte* next, long from, long to)
    {
        for (byte* line = next + from; line < next + to; line += 64) Sse.Prefetch0(line);
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
    private static void Scores<T>(float* query, float* key, long size, float* scores, long count) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        for (; i <= count - 4; i += 4, key += 4 * size)
        {
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
    private static void Add<T>(float* scores, long count, float* value, long size, float* sums, ref float largest, ref float norm) where T : unmanaged, ILanes<T>
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
        for (; j <= size - 8 * T.Count; j += 8 * T.Count) Eight<T>(scores, count, value + j, size, sums + j, correction);
        for (; j <= size - 4 * T.Count; j += 4 * T.Count) Four<T>(scores, count, value + j, size, sums + j, correction);
        for (; j < size; j += T.Count)
        {
            T sum = T.Load(sums + j) * correction;
            for (long i = 0; i < count; i++) sum = T.MultiplyAdd(T.All(scores[i]), T.Load(value + i * size + j), sum);
            T.Store(sum, sums + j);
        }
    }

    /// <summary>Keys in two chains, so that eight sums are under way here too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<T>(float* terms, long count, float* value, long stride, float* sums, T f) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.All(0), g = e, h = e, k = e;
        for (long i = 0; i < count; i += 2, value += 2 * stride)
        {
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
    private static void Eight<T>(float* terms, long count, float* value, long stride, float* sums, T f) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.Load(sums + 4 * T.Count) * f, g = T.Load(sums + 5 * T.Count) * f, h = T.Load(sums + 6 * T.Count) * f, k = T.Load(sums + 7 * T.Count) * f;
        for (long i = 0; i < count; i++, value += stride)
        {
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
