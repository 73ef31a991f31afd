using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class KernelsReport
{
    public static string Section(KernelsResult result, int rounds, int threads, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Kernels

        {now:yyyy-MM-dd}. {Machine.Current}; threads: {threads}; ONNX Runtime {Runtime.OrtSession.RuntimeVersion}. Each function alone in a graph, by our kernel and by its body in standard operators, in turn, {rounds} rounds;
        of a round counts its fastest run. The limit is what plain loops reached on this machine just before: {result.Limits.PeakRate / 1e9:F0} GFLOP/s, {result.Limits.ReadRate / 1e9:F1} GB/s reading,
        {result.Limits.StreamRate / 1e9:F1} GB/s reading and writing together (a = b + c). Bytes are those of inputs and outputs, each once; operations those of products, of attention the causal half.
        Tensors are 64 MB and more except those of products and attention, so that no cache helps. Other programs took {result.OthersShare:P1} of the machine meanwhile.

        | function | size | bound by | limit ms | kernel ms, median (minimum) | of limit | body ms | kernel / body |
        |---|---|---|---|---|---|---|---|
        {string.Join("\n", result.Times.Select(t => Row(t, result.Limits)))}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(KernelTimes t, MachineLimits limits) => string.Create(CultureInfo.InvariantCulture,
        $"| {t.Work.Function} | {t.Work.Form} | {(t.Work.IsBoundByMemory(limits) ? "memory" : "multiply-adds")} | {t.LimitMilliseconds:F2} | {t.Kernel.Median:F2} ({t.Kernel.Minimum:F2}) | {t.OfLimit:F2} | {t.Body.Median:F2} | {t.OfBody:F2} |");
}
