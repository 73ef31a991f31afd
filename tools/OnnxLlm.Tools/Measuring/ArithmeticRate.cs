using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnnxLlm.Tools.Measuring;

/// <summary>What multiply-adds alone reach on some threads at this moment: the rate that no model can be faster than.</summary>
internal sealed class ArithmeticRate(TimeProvider time, int threads)
{
    private const int Probes = 10;
    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(0.1);

    /// <summary>The highest rate of a second of probes, in 10⁹ floating-point operations per second: shared machines slow down in phases.</summary>
    public double Peak() => Enumerable.Range(0, Probes).Max(_ => Probe());

    /// <summary>The rate of a tenth of a second, in 10⁹ floating-point operations per second over all threads.</summary>
    public double Probe()
    {
        var operations = new double[threads];
        long begin = time.GetTimestamp();
        Thread[] workers = [.. Enumerable.Range(0, threads).Select(i => new Thread(() => operations[i] = Burn(begin)))];
        foreach (Thread worker in workers) worker.Start();
        foreach (Thread worker in workers) worker.Join();
        return operations.Sum() / time.GetElapsedTime(begin).TotalSeconds / 1e9;
    }

    private double Burn(long begin)
    {
        const int rounds = 100_000;
        double operations = 0;
        float sink = 0;
        for (; time.GetElapsedTime(begin) < ProbeTime; operations += rounds * 8 * 2.0 * (Vector512.IsHardwareAccelerated ? 16 : 8))
            sink += Vector512.IsHardwareAccelerated ? Multiply512(rounds) : Multiply256(rounds);
        return float.IsNaN(sink) ? 0 : operations; // the sum is used, so the loop stays
    }

    /// <summary>Eight independent chains: enough to hide the latency of two multiply-add units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Multiply512(int rounds)
    {
        Vector512<float> f = Vector512.Create(0.5f), a = f, b = f, c = f, d = f, e = f, g = f, h = f, k = f;
        for (int i = 0; i < rounds; i++)
        {
            (a, b) = (Vector512.FusedMultiplyAdd(a, f, f), Vector512.FusedMultiplyAdd(b, f, f));
            (c, d) = (Vector512.FusedMultiplyAdd(c, f, f), Vector512.FusedMultiplyAdd(d, f, f));
            (e, g) = (Vector512.FusedMultiplyAdd(e, f, f), Vector512.FusedMultiplyAdd(g, f, f));
            (h, k) = (Vector512.FusedMultiplyAdd(h, f, f), Vector512.FusedMultiplyAdd(k, f, f));
        }
        return Vector512.Sum(a + b + c + d + e + g + h + k);
    }

    /// <inheritdoc cref="Multiply512"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Multiply256(int rounds)
    {
        Vector256<float> f = Vector256.Create(0.5f), a = f, b = f, c = f, d = f, e = f, g = f, h = f, k = f;
        for (int i = 0; i < rounds; i++)
        {
            (a, b) = (Vector256.FusedMultiplyAdd(a, f, f), Vector256.FusedMultiplyAdd(b, f, f));
            (c, d) = (Vector256.FusedMultiplyAdd(c, f, f), Vector256.FusedMultiplyAdd(d, f, f));
            (e, g) = (Vector256.FusedMultiplyAdd(e, f, f), Vector256.FusedMultiplyAdd(g, f, f));
            (h, k) = (Vector256.FusedMultiplyAdd(h, f, f), Vector256.FusedMultiplyAdd(k, f, f));
        }
        return Vector256.Sum(a + b + c + d + e + g + h + k);
    }
}
