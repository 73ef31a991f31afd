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
        MachineLimits limits = MachineLimits.Measure(machine.PeakRate * 1e9, threads, time);
        KernelTimes[] times = [.. Chosen().Select(work => Measure(work, limits))];
        var result = new KernelsResult(limits with { PeakRate = machine.PeakRate * 1e9 }, times, busy.OthersShare(Environment.CpuUsage.TotalTime));
        string section = KernelsReport.Section(result, rounds, threads, time.GetLocalNow());
        return new Publication("kernels", section, result.OthersShare, result.Goals).To(output, only is null ? report : null);
    }

    private KernelWork[] Chosen()
    {
        KernelWork[] chosen = [.. KernelWorks.All.Where(work => only is null || work.Function == only)];
        return chosen.Length > 0 ? chosen : throw new BenchmarkException($"There is no kernel {only}; there are {string.Join(", ", KernelWorks.All.Select(w => w.Function).Distinct())}.");
    }

    /// <summary>No waiting for a quieter machine here: there are many short measurements, and the fastest of all rounds counts.</summary>
    private KernelTimes Measure(KernelWork work, MachineLimits limits)
    {
        using WorkSession kernel = new(work, kernels: true, threads), body = new(work, kernels: false, threads);
        kernel.Run();
        body.Run();
        Round<double>[] measured = [.. Enumerable.Range(0, rounds).Select(_ => new Round<double>(Fastest(body), Fastest(kernel)))];
        var times = new KernelTimes(work, Summary.Of(measured.Select(r => r.Ours)), Summary.Of(measured.Select(r => r.Peer)), work.LimitMilliseconds(limits));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {work.Function}, {work.Form}: {times.Kernel.Minimum:F2} ms, {times.OfLimit:F2} of the limit, {times.OfBody:F2} of the body"));
        return times;
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
