using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class PeersReport
{
    /// <summary>What runs beside ours, in words.</summary>
    public const string Peers =
        "ORT GenAI 0.15.2 runs the same model with a cache of floats, with which it is fastest: a stock runtime would widen one of 16 bits in every step; llama.cpp 0.5.0 (prebuilt, flash attention) a GGUF of the same shape in Q8_0, with other random weights. Blocks of 32 weights on all sides.";

    public static string Section(PeersResult result, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## INT8 decoding beside ORT GenAI and llama.cpp

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        {Peers}
        Prompts of {result.Options.Prompt} random tokens, {result.Options.Tokens} tokens chosen greedily. Each runtime has a process for each batch, which stays and takes short turns after a first; rounds: {result.Options.Rounds}, every other one in the
        opposite order; threads: {result.Options.Threads}. Medians, tokens per second over all sequences. Other programs took at most {result.OthersShare:P1} of the machine during a turn.

        | | {Row("decode, batch")} | {Row("prefill, batch")} | {Row("peak resident MB, batch")} |
        |---|{string.Concat(PeersResult.Batches.Select(_ => "---|---|---|"))}
        {string.Join("\n", PeersResult.Runtimes.Select(runtime => Runtime(result, runtime)))}
        {Ratios(result, PeersWorker.Llama)}
        {Ratios(result, PeersWorker.GenAi)}

        A single sequence's token needs {result.ProductBytes / 1e6:F0} MB of weights. A plain loop on all threads read {result.ReadRate / 1e9:F1} GB/s from memory in the median, each time just before; at that rate the weights alone would take
        {result.ProductBytes / result.ReadRate * 1e3:F2} ms of the {1e3 / result.Median(PeersWorker.Own, 1, result.Decode):F2} of a step: the product's weights lie in large pages, and may lie in the third-level cache in part, so it can be faster than that loop. Keys and values have 16 bits, bfloat16 here and float16 in llama.cpp; in ORT GenAI they have 32.

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(string what) => string.Join(" | ", PeersResult.Batches.Select(batch => FormattableString.Invariant($"{what} {batch}")));

    private static string Runtime(PeersResult result, string name) =>
        $"| {name} | {Cells(result, (batch, figure) => FormattableString.Invariant($"{result.Median(name, batch, figure):F0}"))} |";

    private static string Ratios(PeersResult result, string peer) =>
        $"| **{PeersWorker.Own} / {peer}** | {Cells(result, (batch, figure) => FormattableString.Invariant($"**{result.Ratio(peer, batch, figure):F2}**"))} |";

    private static string Cells(PeersResult result, Func<int, Func<WorkerRun, double>, string> cell) => string.Join(
        " | ", ((Func<WorkerRun, double>[])[result.Decode, result.Prefill, run => PeersResult.Resident(run) / 1e6]).SelectMany(figure => PeersResult.Batches.Select(batch => cell(batch, figure))));
}
