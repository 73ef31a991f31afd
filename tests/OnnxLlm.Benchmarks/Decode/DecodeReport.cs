using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Decode;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class DecodeReport
{
    public static string Section(DecodeResult result, AnswerOptions options, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## The bare decode loop, float32 and INT8

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        Prompts of {Prompts.Length} random tokens, {options.Tokens} tokens chosen greedily after each, {options.Answers} answers a run after {DecodeJob.WarmUp} to warm up;
        rounds in turn: {options.Rounds}; threads: {options.Threads}. Medians, tokens per second over all sequences.
        Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | | {string.Join(" | ", DecodeResult.Batches.Select(batch => $"decode, batch {batch}"))} | prefill | peak resident MB |
        |---|{string.Concat(DecodeResult.Batches.Select(_ => "---|"))}---|---|
        {Row("float32", result, result.Rounds.Select(round => round.Peer))}
        {Row("INT8", result, result.Rounds.Select(round => round.Ours))}
        | **INT8 / float32** | {string.Join(" | ", DecodeResult.Batches.Select(batch => Number($"**{result.DecodeRatio(batch):F2}**")))} | **{result.Ratio(result.PrefillRate):F2}** | **{result.Ratio(run => run.PeakBytes):F2}** |

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(string name, DecodeResult result, IEnumerable<WorkerRun> runs)
    {
        WorkerRun[] all = [.. runs];
        IEnumerable<double> decode = DecodeResult.Batches.Select(batch => Median(run => result.DecodeRate(run, batch)));
        return Number($"| {name} | {string.Join(" | ", decode.Select(rate => Number($"{rate:F0}")))} | {Median(result.PrefillRate):F0} | {Median(run => run.PeakBytes) / 1e6:F0} |");

        double Median(Func<WorkerRun, double> figure) => Summary.Of(all.Select(figure)).Median;
    }

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
