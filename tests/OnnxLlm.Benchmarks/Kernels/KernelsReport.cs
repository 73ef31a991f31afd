using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class KernelsReport
{
    public static string Section(KernelsResult result, int rounds, int threads, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Kernels

        {now:yyyy-MM-dd}. {Machine.Current}; threads: {threads}; ONNX Runtime {Runtime.OrtSession.RuntimeVersion}. Each function alone in a graph, by our kernel and by its body in standard operators, in turn, {rounds} rounds;
        of a round counts its fastest run, of rounds the median. The limit is what plain loops reached on this machine just before in the same round, in the median {result.Range(l => l.PeakRate)} GFLOP/s,
        {result.Range(l => l.ReadRate)} GB/s reading, {result.Range(l => l.StreamRate)} GB/s reading and writing together (a = b + c), {result.Range(l => l.InPlaceRate)} GB/s in place (a = a + b). Bytes are those of inputs and outputs, each once; operations those of products, of attention the causal half.
        Tensors are 64 MB and more except those of products and attention, so that no cache helps. Other programs took {result.OthersShare:P1} of the machine meanwhile.

        | function | size | bound by | limit ms | kernel ms, median (minimum) | of limit | body ms | kernel / body |
        |---|---|---|---|---|---|---|---|
        {string.Join("\n", result.Times.Select(Row))}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}

        What the limit leaves out: {string.Join("; ", result.Times.Where(t => t.Work.Beyond is not null).GroupBy(t => t.Work.Beyond).Select(g => $"{string.Join(", ", g.Select(t => t.Work.Function).Distinct())}: {g.Key}"))}.
        """);

    private static string Row(KernelTimes t) => string.Create(CultureInfo.InvariantCulture,
        $"| {t.Work.Function} | {t.Work.Form} | {(t.Work.IsBoundByMemory(t.Rounds[0].Limits) ? "memory" : "multiply-adds")} | {t.LimitMilliseconds.Median:F2} | {t.Kernel.Median:F2} ({t.Kernel.Minimum:F2}) | {t.OfLimit:F2} | {t.Body.Median:F2} | {t.OfBody:F2} |");
}
