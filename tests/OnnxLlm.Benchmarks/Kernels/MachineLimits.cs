using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>What the machine does at best, as measured just now by plain loops on all threads.</summary>
/// <param name="PeakRate">Multiplications and additions per second.</param>
/// <param name="ReadRate">Bytes per second when reading one long array.</param>
/// <param name="StreamRate">Bytes per second, read and written together, of a = b + c over long arrays.</param>
internal sealed record MachineLimits(double PeakRate, double ReadRate, double StreamRate)
{
    private const int Floats = 1 << 24, Repetitions = 12;

    public static MachineLimits Measure(double peakRate, int threads, TimeProvider time)
    {
        using TensorBuffer a = TensorBuffer.Zeros(ElementType.Float, Floats), b = TensorBuffer.Zeros(ElementType.Float, Floats), c = TensorBuffer.Zeros(ElementType.Float, Floats);
        foreach (TensorBuffer buffer in (TensorBuffer[])[a, b, c]) buffer.Span<float>().Fill(1);
        double read = Best(threads, time, (start, count) => Sum(b.Span<float>().Slice(start, count)));
        double stream = Best(threads, time, (start, count) => Add(a.Span<float>().Slice(start, count), b.Span<float>().Slice(start, count), c.Span<float>().Slice(start, count)));
        return new(peakRate, 4.0 * Floats / read, 12.0 * Floats / stream);
    }

    /// <summary>Seconds of the fastest repetition over all threads' parts.</summary>
    private static double Best(int threads, TimeProvider time, Func<int, int, float> part)
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
