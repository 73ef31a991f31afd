using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>Every kernel against its function body and against what the machine allows.</summary>
internal sealed class KernelsSuite(int rounds, int threads, string? only, string? report, TimeProvider time, TextWriter output)
{
    private static readonly TimeSpan Burst = TimeSpan.FromSeconds(0.05);

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        var machine = new QuietMachine(time, threads, output);
        var busy = new ProcessorTime(time);
        machine.Wait();
        using var limits = new LimitProbe(machine, threads, time);
        var result = new KernelsResult([.. Chosen().Select(work => Measure(work, limits))], busy.OthersShare(Environment.CpuUsage.TotalTime));
        string section = KernelsReport.Section(result, rounds, threads, time.GetLocalNow());
        return new Publication("kernels", section, result.OthersShare, result.Goals).To(output, only is null ? report : null);
    }

    private KernelWork[] Chosen()
    {
        KernelWork[] chosen = [.. KernelWorks.All.Where(work => only is null || work.Function == only)];
        return chosen.Length > 0 ? chosen : throw new BenchmarkException($"There is no kernel {only}; there are {string.Join(", ", KernelWorks.All.Select(w => w.Function).Distinct())}.");
    }

    /// <summary>No waiting for a quieter machine here: the limit is measured beside the kernel, and slows down with it.</summary>
    private KernelTimes Measure(KernelWork work, LimitProbe limits)
    {
        using WorkSession kernel = new(work, kernels: true, threads), body = new(work, kernels: false, threads);
        kernel.Run();
        body.Run();
        var times = new KernelTimes(work, [.. Enumerable.Range(0, rounds).Select(_ => Round(kernel, body, limits))]);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {work.Function}, {work.Form}: {times.Kernel.Minimum:F2} ms, {times.OfLimit:F2} of the limit, {times.OfBody:F2} of the body"));
        return times;
    }

    private KernelRound Round(WorkSession kernel, WorkSession body, LimitProbe limits)
    {
        double other = Fastest(body);
        MachineLimits now = limits.Measure();
        return new(Fastest(kernel), other, now);
    }

    private double Fastest(WorkSession session)
    {
        double best = double.PositiveInfinity;
        for (long start = time.GetTimestamp(); double.IsInfinity(best) || time.GetElapsedTime(start) < Burst;)
        {
            long begin = time.GetTimestamp();
            session.Run();
            best = Math.Min(best, time.GetElapsedTime(begin).TotalMilliseconds);
        }
        return best;
    }
}
