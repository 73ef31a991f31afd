using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Memory;

namespace OnnxLlm.Benchmarks.Precision;

/// <summary>The same training with our kernels and with their functions' bodies, by the real runner: the same losses but for the order of sums.</summary>
internal sealed class ParitySuite(int steps, int threads, string? report, TimeProvider time, TextWriter output)
{
    private const int Vocabulary = 512, Noise = 5;
    private static readonly int[] Early = [1, 2, 5, 10, 20, 50, 100, 200, 300];

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("parity");
        string config = Path.Combine(BenchmarkDocument.Root, "training", "configs", "quickstart.json");
        var runner = new RunnerProcess(config, MemoryData.Write(folder.Path, Vocabulary, Noise), folder.Path, threads);
        IReadOnlyList<double> on = Train(runner, "true", threads), off = Train(runner, "false", threads), one = Train(runner, "true", 1);
        Goal[] goals =
        [
            Goal.Most("kernels_on_off_mean_loss_difference", Math.Abs(on.TakeLast(PrecisionResult.Window).Average() - off.TakeLast(PrecisionResult.Window).Average()), 1e-3),
            Goal.Most("kernels_on_off_first_loss_difference", Math.Abs(on[0] - off[0]), 1e-5),
            Goal.Most("kernels_one_thread_loss_difference", on.Zip(one, (a, b) => Math.Abs(a - b)).Max(), 0),
        ];
        return new Publication("parity", Section(on, off, goals), OthersShare: 0, goals).To(output, report);
    }

    private IReadOnlyList<double> Train(RunnerProcess runner, string kernels, int with)
    {
        IReadOnlyList<double> losses = runner.Losses(new MemoryCase(
            FormattableString.Invariant($"kernels {kernels}, {with} threads"), [$"kernels={kernels}", FormattableString.Invariant($"steps={steps}"), FormattableString.Invariant($"threads={with}"), .. PrecisionSuite.Model]));
        output.WriteLine(FormattableString.Invariant($"  kernels {kernels}, {with} threads: loss {losses[0]:R} to {losses[^1]:R}"));
        return losses;
    }

    private string Section(IReadOnlyList<double> on, IReadOnlyList<double> off, Goal[] goals) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Kernels on and off: loss curves

        {time.GetLocalNow():yyyy-MM-dd}. LLaMA, 4 layers, width 128, vocabulary {Vocabulary}, 8 × 128 tokens a step, {steps} steps of AdamW from the same weights on the same batches, once with our kernels and once with
        `kernels: false`, where ONNX Runtime runs the functions' bodies in its own operators. With kernels, {threads} threads and 1 give the same bits in every step: a kernel sums every element in one order. Kernels
        and bodies do not: products add their terms in blocks of 256 steps with fused multiply-adds, ONNX Runtime in its own blocks; attention rescales a running sum where the body takes one softmax; norms and
        losses sum by vector lanes; exponentials are polynomials that differ in the last bit. Each such difference is a rounding of 6e-8; training multiplies it from step to step.

        | step | kernels on | kernels off | difference |
        |---|---|---|---|
        {string.Join("\n", Early.Where(step => step <= on.Count).Select(step => Row(step, on[step - 1], off[step - 1])))}

        {string.Join("\n", goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(int step, double on, double off) => string.Create(CultureInfo.InvariantCulture, $"| {step} | {on:F7} | {off:F7} | {off - on:E1} |");
}
