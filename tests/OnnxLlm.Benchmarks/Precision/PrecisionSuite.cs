using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Memory;

namespace OnnxLlm.Benchmarks.Precision;

/// <summary>The same model on the same batches in each precision, and with moments of 8 bits, by the real runner.</summary>
internal sealed class PrecisionSuite(int steps, int threads, string? report, TimeProvider time, TextWriter output)
{
    private const int Vocabulary = 512, Noise = 5;

    internal static readonly string[] Model =
    [
        "model.vocab_size=512", "model.hidden_size=128", "model.intermediate_size=344", "sequence_length=128", "micro_batch=8", "evaluate_every=0", "evaluate_tokens=2048",
        "checkpoint_every=0",
    ];

    private static readonly (string Name, string Setting)[] Curves =
        [("fp32", "precision=fp32"), ("fp16", "precision=fp16"), ("bf16", "precision=bf16"), ("int8 moments", "optimizer.moments=int8")];

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("precision");
        string config = Path.Combine(BenchmarkDocument.Root, "training", "configs", "quickstart.json");
        var runner = new RunnerProcess(config, MemoryData.Write(folder.Path, Vocabulary, Noise), folder.Path, threads);
        var result = new PrecisionResult([.. Curves.Select(curve => (curve.Name, Train(runner, curve.Name, curve.Setting)))]);
        return new Publication("precision", Section(result), OthersShare: 0, result.Goals).To(output, report);
    }

    private IReadOnlyList<double> Train(RunnerProcess runner, string name, string setting)
    {
        TrainingUse use = runner.Run(new MemoryCase(name, [setting, FormattableString.Invariant($"steps={steps}"), .. Model]));
        output.WriteLine(FormattableString.Invariant($"  {name}: loss {use.Losses[0]:F4} to {use.Loss:F4}"));
        return use.Losses;
    }

    private string Section(PrecisionResult result) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Mixed precision: loss curves

        {time.GetLocalNow():yyyy-MM-dd}. LLaMA, 4 layers, width 128, vocabulary {Vocabulary}, 8 × 128 tokens a step, {steps} steps from the same weights on the same batches (a made-up language in which four
        tokens of five follow from the one before), AdamW. Products round their operands and results to 16 bits and compute in float32, see `docs/howto/train.md`; fp16 with dynamic
        loss scaling. With `int8 moments` AdamW keeps its moments in 8 bits. Mean loss of the {PrecisionResult.Window} steps up to each mark, and the difference from float32:

        | steps | {string.Join(" | ", result.Curves.Select(c => c.Name))} | {string.Join(" | ", result.Curves.Skip(1).Select(c => $"{c.Name}: difference"))} |
        |---|{string.Concat(result.Curves.Concat(result.Curves.Skip(1)).Select(_ => "---|"))}
        {string.Join("\n", result.Marks.Select(mark => Row(result, mark)))}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(PrecisionResult result, int mark)
    {
        IEnumerable<string> means = result.Curves.Select(c => PrecisionResult.Mean(c.Losses, mark).ToString("F4", CultureInfo.InvariantCulture));
        IEnumerable<string> differences = result.Curves.Skip(1).Select(c => result.Difference(c.Losses, mark).ToString("P2", CultureInfo.InvariantCulture));
        return $"| {mark} | {string.Join(" | ", means)} | {string.Join(" | ", differences)} |";
    }
}
