using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>
/// Queries over a chunk of keys and values, one or two at a time: two share the loads, which otherwise take longer than the arithmetic. Sums of a query have one order, whether it is
/// alone or not.
/// </summary>
internal static unsafe class CachedRows
{
    /// <summary>Keys of a chunk, and keys that a query is multiplied with at a time.</summary>
    internal const long Chunk = 64, KeysTogether = 4;

    /// <summary>Products of one or two queries [count, size] with keys [keys, size]; to scores [count, <see cref="Chunk"/>].</summary>
    internal static void Score<T>(float* query, long count, float* key, long keys, long size, float* scores, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        if (count == 2) ScoreTwo<T>(query, query + size, key, keys, size, scores, scores + Chunk, ref ahead);
        else ScoreOne<T>(query, key, keys, size, scores, ref ahead);
    }

    /// <summary>sums += Σ 2^(score − largest) · value for one or two queries, after what is there was brought to the new largest score; scores become the terms.</summary>
    internal static void Add<T>(float* scores, long count, float* value, long keys, long size, float* sums, float* largest, float* norms, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        T correction = Weigh<T>(scores, keys, largest, norms);
        if (count == 2) AddTwo(scores, keys, value, size, sums, correction, Weigh<T>(scores + Chunk, keys, largest + 1, norms + 1), ref ahead);
        else AddOne(scores, keys, value, size, sums, correction, ref ahead);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreOne<T>(float* query, float* key, long keys, long size, float* scores, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        for (; i <= keys - KeysTogether; i += KeysTogether, key += KeysTogether * size)
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
        for (; i < keys; i++, key += size) scores[i] = RowMath.Dot<T>(query, key, size);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreTwo<T>(float* query, float* other, float* key, long keys, long size, float* scores, float* otherScores, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        for (; i <= keys - KeysTogether; i += KeysTogether, key += KeysTogether * size)
        {
            ahead.Ask();
            T a = T.All(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
            float* k1 = key + size, k2 = k1 + size, k3 = k2 + size;
            for (long j = 0; j < size; j += T.Count)
            {
                T q = T.Load(query + j), p = T.Load(other + j), k = T.Load(key + j);
                a = T.MultiplyAdd(q, k, a);
                e = T.MultiplyAdd(p, k, e);
                k = T.Load(k1 + j);
                b = T.MultiplyAdd(q, k, b);
                f = T.MultiplyAdd(p, k, f);
                k = T.Load(k2 + j);
                c = T.MultiplyAdd(q, k, c);
                g = T.MultiplyAdd(p, k, g);
                k = T.Load(k3 + j);
                d = T.MultiplyAdd(q, k, d);
                h = T.MultiplyAdd(p, k, h);
            }
            T.StoreSums(a, b, c, d, scores + i);
            T.StoreSums(e, f, g, h, otherScores + i);
        }
        for (; i < keys; i++, key += size) (scores[i], otherScores[i]) = (RowMath.Dot<T>(query, key, size), RowMath.Dot<T>(other, key, size));
    }

    /// <summary>Scores become terms. Returns what earlier sums are multiplied by.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Weigh<T>(float* scores, long keys, float* largest, float* norm) where T : unmanaged, ILanes<T>
    {
        float before = *largest, now = MathF.Max(before, RowMath.Largest<T>(scores, keys));
        for (long i = keys; i % T.Count != 0; i++) scores[i] = float.NegativeInfinity;
        T total = T.All(0), shift = T.All(now);
        for (long i = 0; i < keys; i += T.Count)
        {
            T term = T.Exp2(T.Load(scores + i) - shift);
            T.Store(term, scores + i);
            total += term;
        }
        T correction = T.Exp2(T.All(before - now));
        (*largest, *norm) = (now, *norm * T.Largest(correction) + T.Sum(total));
        return correction;
    }

    private static void AddOne<T>(float* terms, long keys, float* value, long size, float* sums, T f, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        long j = 0;
        for (; j <= size - 8 * T.Count; j += 8 * T.Count) Eight(terms, keys, value + j, size, sums + j, f, ref ahead);
        Rest(terms, keys, value, size, sums, f, j, ref ahead);
    }

    /// <summary>The columns from <paramref name="j"/> on, which are too few for <see cref="Eight"/>.</summary>
    private static void Rest<T>(float* terms, long keys, float* value, long size, float* sums, T f, long j, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        for (; j <= size - 4 * T.Count; j += 4 * T.Count) Four(terms, keys, value + j, size, sums + j, f, ref ahead);
        for (; j < size; j += T.Count)
        {
            T sum = T.Load(sums + j) * f;
            for (long i = 0; i < keys; i++) sum = T.MultiplyAdd(T.All(terms[i]), T.Load(value + i * size + j), sum);
            T.Store(sum, sums + j);
        }
    }

    /// <summary>Keys in two chains, so that eight sums are under way here too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<T>(float* terms, long keys, float* value, long stride, float* sums, T f, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.All(0), g = e, h = e, k = e;
        for (long i = 0; i < keys; i += 2, value += 2 * stride)
        {
            ahead.Ask();
            T p = T.All(terms[i]);
            a = T.MultiplyAdd(p, T.Load(value), a);
            b = T.MultiplyAdd(p, T.Load(value + T.Count), b);
            c = T.MultiplyAdd(p, T.Load(value + 2 * T.Count), c);
            d = T.MultiplyAdd(p, T.Load(value + 3 * T.Count), d);
            if (i + 1 == keys) break;
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
    private static void Eight<T>(float* terms, long keys, float* value, long stride, float* sums, T f, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.Load(sums + 4 * T.Count) * f, g = T.Load(sums + 5 * T.Count) * f, h = T.Load(sums + 6 * T.Count) * f, k = T.Load(sums + 7 * T.Count) * f;
        for (long i = 0; i < keys; i++, value += stride)
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

    /// <summary>Two queries in sixteen sums, for which AVX-512 alone has the registers; eight where those of a query have one chain.</summary>
    private static void AddTwo<T>(float* terms, long keys, float* value, long size, float* sums, T f, T g, ref Ahead ahead) where T : unmanaged, ILanes<T>
    {
        long j = 0;
        for (; j < size / (8 * T.Count) * (8 * T.Count); j += 4 * T.Count) FourOfTwo<T, OneChain>(terms, keys, value + j, size, sums + j, f, g, ref ahead);
        if (T.Count == Lanes512.Count)
            for (; j <= size - 4 * T.Count; j += 4 * T.Count) FourOfTwo<T, TwoChains>(terms, keys, value + j, size, sums + j, f, g, ref ahead);
        Rest(terms, keys, value, size, sums, f, j, ref ahead);
        Rest(terms + Chunk, keys, value, size, sums + size, g, j, ref ahead);
    }

    /// <summary>As <see cref="Four"/> sums them, or, in one chain, as <see cref="Eight"/> sums four of its columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourOfTwo<T, TChains>(float* terms, long keys, float* value, long stride, float* sums, T f, T g, ref Ahead ahead) where T : unmanaged, ILanes<T> where TChains : struct, IChains
    {
        float* others = sums + stride;
        T a = T.Load(sums) * f, b = T.Load(sums + T.Count) * f, c = T.Load(sums + 2 * T.Count) * f, d = T.Load(sums + 3 * T.Count) * f;
        T e = T.Load(others) * g, h = T.Load(others + T.Count) * g, k = T.Load(others + 2 * T.Count) * g, l = T.Load(others + 3 * T.Count) * g;
        T a1 = T.All(0), b1 = a1, c1 = a1, d1 = a1, e1 = a1, h1 = a1, k1 = a1, l1 = a1;
        for (long i = 0; i < keys; i += TChains.Count, value += TChains.Count * stride)
        {
            ahead.Ask();
            T p = T.All(terms[i]), q = T.All(terms[Chunk + i]), v = T.Load(value);
            a = T.MultiplyAdd(p, v, a);
            e = T.MultiplyAdd(q, v, e);
            v = T.Load(value + T.Count);
            b = T.MultiplyAdd(p, v, b);
            h = T.MultiplyAdd(q, v, h);
            v = T.Load(value + 2 * T.Count);
            c = T.MultiplyAdd(p, v, c);
            k = T.MultiplyAdd(q, v, k);
            v = T.Load(value + 3 * T.Count);
            d = T.MultiplyAdd(p, v, d);
            l = T.MultiplyAdd(q, v, l);
            if (TChains.Count == 1) continue;
            if (i + 1 == keys) break;
            float* next = value + stride;
            p = T.All(terms[i + 1]);
            q = T.All(terms[Chunk + i + 1]);
            v = T.Load(next);
            a1 = T.MultiplyAdd(p, v, a1);
            e1 = T.MultiplyAdd(q, v, e1);
            v = T.Load(next + T.Count);
            b1 = T.MultiplyAdd(p, v, b1);
            h1 = T.MultiplyAdd(q, v, h1);
            v = T.Load(next + 2 * T.Count);
            c1 = T.MultiplyAdd(p, v, c1);
            k1 = T.MultiplyAdd(q, v, k1);
            v = T.Load(next + 3 * T.Count);
            d1 = T.MultiplyAdd(p, v, d1);
            l1 = T.MultiplyAdd(q, v, l1);
        }
        if (TChains.Count == 2) (a, b, c, d, e, h, k, l) = (a + a1, b + b1, c + c1, d + d1, e + e1, h + h1, k + k1, l + l1);
        StoreFour(a, b, c, d, sums);
        StoreFour(e, h, k, l, others);
    }

    /// <summary>A number of chains that the compiler knows, so that those which are not there take no registers.</summary>
    private interface IChains
    {
        static abstract int Count { get; }
    }

    private readonly struct OneChain : IChains
    {
        public static int Count => 1;
    }

    private readonly struct TwoChains : IChains
    {
        public static int Count => 2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour<T>(T a, T b, T c, T d, float* target) where T : unmanaged, ILanes<T>
    {
        T.Store(a, target);
        T.Store(b, target + T.Count);
        T.Store(c, target + 2 * T.Count);
        T.Store(d, target + 3 * T.Count);
    }
}
