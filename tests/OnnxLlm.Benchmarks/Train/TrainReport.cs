using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class TrainReport
{
    private const int LongestProfile = 12;

    public static string Section(TrainResult result, TrainOptions options, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Training step, size {result.Size.Name}

        {now:yyyy-MM-dd}. {Machine.Current}; multiply-adds alone reach {result.PeakRate:F0} GFLOP/s on {options.Threads} threads.
        GPT-2, {result.Size.Layers} layers, width {result.Size.Width}, {result.Size.Heads} heads, {result.Size.Batch} × {result.Size.Time} tokens a step,
        vocabulary {result.Size.Vocabulary}, float32, AdamW with clipping; {options.Steps} steps from the same weights on the same batches,
        rounds in turn: {options.Rounds}; threads: {options.Threads}. A step is forward, backward, clipping and update; the first {TrainSuite.WarmUp} are not timed.
        Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | | step ms, median (minimum) | tokens/s | GFLOP/s | peak resident MB |
        |---|---|---|---|---|
        {Row(result, result.Peer)}
        {Row(result, result.Ours)}
        {string.Join("\n", result.Variants.Select(v => Row(result, Side.Of([v.Run]) with { About = $"the same, {v.Variant.Setting}, one run" })))}
        | **ours / peer** | **{result.TimeRatio:F2}** ({result.MinimumRatio:F2}) | | | **{result.Ours.PeakBytes / result.Peer.PeakBytes:F2}** |

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}

        The losses start at {Loss(result, first: true):F4} and end at {Loss(result, first: false):F4}; {Differences(result)}
        With moments of 8 bits they differ by at most {result.VariantLossDifference(exact: false):E1}.
        {Operators(result.Profile)}
        """);

    private static string Differences(TrainResult result) => result.Exact is null
        ? string.Create(CultureInfo.InvariantCulture, $"from those of PyTorch in single precision ours differ by at most {result.LossDifference:E1}.")
        : string.Create(CultureInfo.InvariantCulture, $"from those of PyTorch in double precision ours differ by at most {result.LossDifference:E1}, PyTorch's own in single precision by {result.PeerLossDifference:E1}.");

    private static string Row(TrainResult result, Side side) => string.Create(CultureInfo.InvariantCulture,
        $"| {side.About} | {side.Step.Median:F1} ({side.Step.Minimum:F1}) | {result.Size.TokensPerStep / side.Step.Median * 1e3:F0} | {result.Size.OperationsPerStep / side.Step.Median / 1e6:F0} | {side.PeakBytes / 1e6:F0} |");

    private static double Loss(TrainResult result, bool first)
    {
        IEnumerable<WorkerLine> steps = result.Rounds[0].Ours.Steps;
        return (first ? steps.First() : steps.Last()).Loss!.Value;
    }

    private static string Operators(IReadOnlyList<OperatorTime> times)
    {
        if (times.Count == 0) return "";
        double total = times.Sum(time => time.Milliseconds);
        IEnumerable<string> rows = times.Take(LongestProfile).Select(time => string.Create(CultureInfo.InvariantCulture, $"| {time.Operator} | {time.Calls} | {time.Milliseconds / total:P1} |"));
        return string.Create(CultureInfo.InvariantCulture, $"""
            Plain matrix products take {OrtProfile.ProductShare(times):P0} of our operators' time (ONNX Runtime's profile; attention's own products are not counted):

            | operator | calls | share |
            |---|---|---|
            {string.Join("\n", rows)}
            """);
    }
}
