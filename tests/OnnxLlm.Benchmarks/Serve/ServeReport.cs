using System.Globalization;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class ServeReport
{
    public static string Section(ServeResult result, AnswerOptions options, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Serving: a stream over HTTP against the bare decode loop

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        Prompts of {Prompts.Length} random token ids, answers of {options.Tokens} tokens at temperature 0, streamed from `/v1/completions` over a loopback connection to
        one client on the same machine; {options.Answers} answers a run after {DecodeJob.WarmUp} to warm up; rounds in turn: {options.Rounds}; threads of the forward pass: {options.Threads}.
        The bare loop is a session of the same package in a process of its own: forward pass, likeliest token, next forward pass. Its idle threads
        spin, which is fastest on an idle machine; the server's sleep between steps, because others need the processors as well. No answer came from the response cache.
        Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | | tokens/s after the first | tokens/s with the prompt | first token ms, median (slowest) | peak resident MB |
        |---|---|---|---|---|
        {Row("bare loop", result.Bare)}
        {Row("server", result.Served)}
        | **server / bare** | **{result.Ratio(run => run.StreamRate):F2}** | **{result.Ratio(run => run.WholeRate):F2}** | | |

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}

        Several clients at a time, each asking again as soon as it has its answer:

        | clients | {string.Join(" | ", ServeLoad.ClientCounts)} |
        |---|{string.Concat(ServeLoad.ClientCounts.Select(_ => "---|"))}
        | tokens/s together | {string.Join(" | ", ServeLoad.ClientCounts.Select(clients => Number($"{result.LoadRate(clients):F0}")))} |
        """);

    private static string Row(string name, IEnumerable<ServeRun> runs)
    {
        ServeRun[] all = [.. runs];
        double slowest = all.SelectMany(run => run.Answers).Max(answer => answer.FirstMilliseconds);
        return Number($"| {name} | {Median(run => run.StreamRate):F0} | {Median(run => run.WholeRate):F0} | {Median(run => run.First.Median):F1} ({slowest:F1}) | {Median(run => run.PeakBytes) / 1e6:F0} |");

        double Median(Func<ServeRun, double> figure) => Summary.Of(all.Select(figure)).Median;
    }

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
