using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Optimizers;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class OptimizersReport
{
    public static string Section(IReadOnlyList<OptimizerOutcome> runs, OptimizersOptions options, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Optimizers at equal time

        {now:yyyy-MM-dd}. {Machine.Current}. The quickstart's config (State of the Union addresses, vocabulary 4096, batches of 8 × 128 tokens, learning rate 2e-3, cosine)
        with {options.Seconds} seconds of wall clock for each run, on two sizes of LLaMA (layers × width); threads: {options.Threads}. Both optimizers have the same learning rate,
        which was chosen for AdamW. Muon's matrices are those of the blocks; embeddings and norms go with AdamW.
        Other programs took at most {runs.Max(run => run.OthersShare):P1} of the machine during a run.

        | model | optimizer | steps | seconds | step ms | validation loss | perplexity |
        |---|---|---|---|---|---|---|
        {string.Join("\n", runs.Select(Row))}

        {string.Join("\n", OptimizersSize.All.Select(size => Verdict(size, runs)))}
        """);

    private static string Row(OptimizerOutcome run) => string.Create(CultureInfo.InvariantCulture,
        $"| {run.Size} | {run.Optimizer} | {run.Steps} | {run.Seconds:F1} | {run.StepMilliseconds:F1} | {run.Loss:F4} ± {run.Error:F4} | {Math.Exp(run.Loss):F1} |");

    private static string Verdict(OptimizersSize size, IReadOnlyList<OptimizerOutcome> runs)
    {
        OptimizerOutcome adam = runs.Single(r => r.Size == size && r.Optimizer == "adamw"), muon = runs.Single(r => r.Size == size && r.Optimizer == "muon");
        return string.Create(CultureInfo.InvariantCulture,
            $"- {size}: in the same time Muon takes {muon.Steps / (double)adam.Steps:P0} of AdamW's steps and ends {Math.Abs(muon.Loss - adam.Loss):F3} nats {(muon.Loss < adam.Loss ? "lower" : "higher")}.");
    }
}
