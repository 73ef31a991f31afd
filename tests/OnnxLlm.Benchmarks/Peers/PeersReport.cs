using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class PeersReport
{
    /// <summary>What runs beside ours, in words.</summary>
    public const string Peers =
        "ORT GenAI 0.15.2 runs the same package; llama.cpp 0.5.0 (prebuilt, flash attention) a GGUF of the same shape in Q8_0, with other random weights. Blocks of 32 weights on all sides.";

    public static string Section(PeersResult result, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## INT8 decoding beside ORT GenAI and llama.cpp

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        {Peers}
        Prompts of {result.Options.Prompt} random tokens, {result.Options.Tokens} tokens chosen greedily, after one shorter answer to warm up; rounds in turn: {result.Options.Rounds}; threads: {result.Options.Threads}.
        Medians, tokens per second over all sequences. Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | | {Row("decode, batch")} | {Row("prefill, batch")} | peak resident MB |
        |---|{string.Concat(PeersResult.Batches.Select(_ => "---|---|"))}---|
        {string.Join("\n", result.Runs.Keys.Select(runtime => Runtime(result, runtime)))}
        {Ratios(result, PeersWorker.Llama)}
        {Ratios(result, PeersWorker.GenAi)}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(string what) => string.Join(" | ", PeersResult.Batches.Select(batch => FormattableString.Invariant($"{what} {batch}")));

    private static string Runtime(PeersResult result, string name)
    {
        string Cells(Func<WorkerLine, double> figure) =>
            string.Join(" | ", PeersResult.Batches.Select(batch => FormattableString.Invariant($"{result.Median(name, batch, figure):F0}")));
        return FormattableString.Invariant($"| {name} | {Cells(result.Decode)} | {Cells(result.Prefill)} | {result.Peak(name) / 1e6:F0} |");
    }

    private static string Ratios(PeersResult result, string peer)
    {
        string Cells(Func<WorkerLine, double> figure) =>
            string.Join(" | ", PeersResult.Batches.Select(batch => FormattableString.Invariant($"**{result.Ratio(peer, batch, figure):F2}**")));
        return $"| **{PeersWorker.Own} / {peer}** | {Cells(result.Decode)} | {Cells(result.Prefill)} | |";
    }
}
