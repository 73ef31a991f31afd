using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>Measures the limits again and again, because shared machines change their speed from one second to the next.</summary>
internal sealed class LimitProbe(QuietMachine machine, int threads, TimeProvider time) : IDisposable
{
    private const int Floats = 1 << 24, Repetitions = 3;

    private readonly TensorBuffer _a = Ones(), _b = Ones(), _c = Ones();

    public MachineLimits Measure()
    {
        double read = Best((start, count) => Sum(_b.Span<float>().Slice(start, count)));
        double stream = Best((start, count) => Add(_a.Span<float>().Slice(start, count), _b.Span<float>().Slice(start, count), _c.Span<float>().Slice(start, count)));
        double inPlace = Best((start, count) => Add(_a.Span<float>().Slice(start, count), _a.Span<float>().Slice(start, count), _b.Span<float>().Slice(start, count)));
        return new(machine.Rate() * 1e9, 4.0 * Floats / read, 12.0 * Floats / stream, 12.0 * Floats / inPlace);
    }

    public void Dispose()
    {
        foreach (TensorBuffer buffer in (TensorBuffer[])[_a, _b, _c]) buffer.Dispose();
    }

    private static TensorBuffer Ones()
    {
        TensorBuffer buffer = TensorBuffer.Zeros(ElementType.Float, Floats);
        buffer.Span<float>().Fill(1);
        return buffer;
    }

    /// <summary>Seconds of the fastest repetition over all threads' parts.</summary>
    private double Best(Func<int, int, float> part)
    {
        int share = Floats / threads;
        double best = double.PositiveInfinity;
        for (int i = 0; i < Repetitions; i++)
        {
            float[] sums = new float[threads];
            Thread[] workers = [.. Enumerable.Range(0, threads).Select(t => new Thread(() => sums[t] = part(t * share, share)))];
            long begin = time.GetTimestamp();
            foreach (Thread worker in workers) worker.Start();
            foreach (Thread worker in workers) worker.Join();
            if (sums.Sum() > 0) best = Math.Min(best, time.GetElapsedTime(begin).TotalSeconds);
        }
        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Sum(Span<float> x)
    {
        int step = Vector256<float>.Count;
        Vector256<float> s = default, t = default, u = default, v = default;
        ref float first = ref x[0];
        for (nuint i = 0; i + (nuint)(4 * step) <= (nuint)x.Length; i += (nuint)(4 * step))
        {
            s += Vector256.LoadUnsafe(ref first, i);
            t += Vector256.LoadUnsafe(ref first, i + (nuint)step);
            u += Vector256.LoadUnsafe(ref first, i + (nuint)(2 * step));
            v += Vector256.LoadUnsafe(ref first, i + (nuint)(3 * step));
        }
        return Vector256.Sum(s + t + u + v);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Add(Span<float> a, Span<float> b, Span<float> c)
    {
        ref float to = ref a[0], left = ref b[0], right = ref c[0];
        for (nuint i = 0; i + (nuint)Vector256<float>.Count <= (nuint)a.Length; i += (nuint)Vector256<float>.Count)
            (Vector256.LoadUnsafe(ref left, i) + Vector256.LoadUnsafe(ref right, i)).StoreUnsafe(ref to, i);
        return a[^1];
    }
}
