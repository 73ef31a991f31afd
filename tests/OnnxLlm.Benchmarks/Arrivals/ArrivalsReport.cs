using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Arrivals;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class ArrivalsReport
{
    public static string Section(ArrivalsResult result, int rounds, int threads, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Serving: running streams while a long prompt arrives

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        Some clients stream answers over HTTP; then another one sends a prompt of {ArrivalsSuite.LongPrompt} tokens, which is read in pieces between their tokens. Milliseconds between two tokens of a stream as its reader
        sees them, over all streams together, before and during that. The server sends every token at once (`--pace-ms 0`): as it does by default, several may come together, and the time between two
        pieces would hide what happens to tokens. Medians of {rounds} rounds, each with a server of its own that has answered
        a stream and a long prompt before; threads of the forward pass: {threads}. Other programs took at most {result.OthersShare:P1} of the machine during a run.

        | streams | quiet: median | 95 of 100 | with the prompt: median | 95 of 100 | ratio of the latter | long prompt's first token, s |
        |---|---|---|---|---|---|---|
        {string.Join("\n", result.Streams.Select(streams => Row(result, streams)))}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}

        A piece of the prompt is read in the pass that decodes the streams, so the weights are read from memory once for both. Pieces are as long as 0.6 of a decode allows, but never shorter
        than 3 tokens, because the prompt, too, is to be read some time.
        """);

    private static string Row(ArrivalsResult result, int streams)
    {
        return string.Create(CultureInfo.InvariantCulture,
            $"| {streams} | {Of(run => Half(run.Quiet)):F1} | {Of(run => ArrivalsRun.Late(run.Quiet)):F1} | {Of(run => Half(run.Busy)):F1} | {Of(run => ArrivalsRun.Late(run.Busy)):F1} | **{Of(run => run.Ratio):F2}** | {Of(run => run.PromptMilliseconds / 1e3):F1} |");

        double Of(Func<ArrivalsRun, double> figure) => result.Median(streams, figure);
    }

    private static double Half(IEnumerable<double> gaps) => Summary.Of(gaps).Median;
}
