using System.Runtime.CompilerServices;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Reductions of one row of floats: whole vectors in two chains, then the tail.</summary>
internal static unsafe class RowMath
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Sum<T>(float* x, long count) where T : unmanaged, ILanes<T>
    {
        T even = T.All(0), odd = even;
        long i = 0;
        for (; i <= count - 2 * T.Count; i += 2 * T.Count)
        {
            even += T.Load(x + i);
            odd += T.Load(x + i + T.Count);
        }
        float sum = T.Sum(even + odd);
        for (; i < count; i++) sum += x[i];
        return sum;
    }

    /// <summary>Σ (x − shift)².</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float SumOfSquares<T>(float* x, float shift, long count) where T : unmanaged, ILanes<T>
    {
        T even = T.All(0), odd = even, shifts = T.All(shift);
        long i = 0;
        for (; i <= count - 2 * T.Count; i += 2 * T.Count)
        {
            T a = T.Load(x + i) - shifts, b = T.Load(x + i + T.Count) - shifts;
            even = T.MultiplyAdd(a, a, even);
            odd = T.MultiplyAdd(b, b, odd);
        }
        float sum = T.Sum(even + odd);
        for (; i < count; i++) sum += (x[i] - shift) * (x[i] - shift);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Largest<T>(float* x, long count) where T : unmanaged, ILanes<T>
    {
        T even = T.All(float.NegativeInfinity), odd = even;
        long i = 0;
        for (; i <= count - 2 * T.Count; i += 2 * T.Count)
        {
            even = T.Maximum(T.Load(x + i), even);
            odd = T.Maximum(T.Load(x + i + T.Count), odd);
        }
        float largest = T.Largest(T.Maximum(even, odd));
        for (; i < count; i++) largest = x[i] > largest ? x[i] : largest;
        return largest;
    }

    /// <summary>Σ e^(x − shift); the terms go to <paramref name="terms"/> unless it is null. May work in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float SumOfExponentials<T>(float* x, float shift, float* terms, long count) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        float sum = Exponentials<T>(x, shift, terms, ref i, count);
        return sum + Exponentials<ScalarLane>(x, shift, terms, ref i, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Exponentials<T>(float* x, float shift, float* terms, ref long start, long count) where T : unmanaged, ILanes<T>
    {
        T sum = T.All(0), shifts = T.All(shift), log2E = T.All(Exponential.Log2E);
        long i = start;
        for (; i <= count - T.Count; i += T.Count)
        {
            T term = T.Exp2((T.Load(x + i) - shifts) * log2E);
            if (terms != null) T.Store(term, terms + i);
            sum += term;
        }
        start = i;
        return T.Sum(sum);
    }

    /// <summary>sum = x + y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Add<T>(float* x, float* y, float* sum, long count) where T : unmanaged, ILanes<T>
    {
        long i = 0;
        for (; i <= count - T.Count; i += T.Count) T.Store(T.Load(x + i) + T.Load(y + i), sum + i);
        for (; i < count; i++) sum[i] = x[i] + y[i];
    }

    /// <summary>x ·= factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Scale<T>(float* x, float factor, long count) where T : unmanaged, ILanes<T>
    {
        T factors = T.All(factor);
        long i = 0;
        for (; i <= count - T.Count; i += T.Count) T.Store(T.Load(x + i) * factors, x + i);
        for (; i < count; i++) x[i] *= factor;
    }

    /// <summary>Σ x·y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Dot<T>(float* x, float* y, long count) where T : unmanaged, ILanes<T>
    {
        T sums = T.All(0);
        long i = 0;
        for (; i <= count - T.Count; i += T.Count) sums = T.MultiplyAdd(T.Load(x + i), T.Load(y + i), sums);
        float sum = T.Sum(sums);
        for (; i < count; i++) sum += x[i] * y[i];
        return sum;
    }

    /// <summary>Column sums of a matrix, its rows added in order: the same bits at any vector width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void SumColumns(float* matrix, long rows, long stride, float* sums, long columns) =>
        SumColumns<ScalarLane>(matrix, rows, stride, sums, SumColumns<PortableLanes>(matrix, rows, stride, sums, 0, columns), columns);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long SumColumns<T>(float* matrix, long rows, long stride, float* sums, long start, long columns) where T : unmanaged, ILanes<T>
    {
        long c = start;
        for (; c <= columns - T.Count; c += T.Count)
        {
            T sum = T.All(0);
            for (long r = 0; r < rows; r++) sum += T.Load(matrix + r * stride + c);
            T.Store(sum, sums + c);
        }
        return c;
    }
}
