using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class SoakReport
{
    private const int Rows = 12;

    public static string Section(SoakResult result, SoakOptions options, string model, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Serving: mixed traffic for a long time

        {now:yyyy-MM-dd}. {Machine.Current}. {model} and the same as INT8.
        A server process with 8 slots and {options.Threads} thread(s) for the forward pass; {options.Rate} requests begin in a second for {options.Duration.TotalMinutes:F0} minutes, whether or not earlier ones have ended
        ({result.Requests.Skipped} were not begun, because {SoakTraffic.MostAtOnce} were under way); every
        {options.Reload.TotalSeconds:F0} s the model is replaced by the other of the two packages while requests run ({result.Reloads} times). Other programs used the machine meanwhile: no times are claimed.

        | requests | answered | client left | refused | turned away (429) | 5xx | broken |
        |---|---|---|---|---|---|---|
        {string.Join("\n", Enumerable.Range(0, SoakRequests.Kinds.Count).Select(kind => Row(SoakRequests.Kinds[kind], outcome => result.Requests.Count(kind, outcome))))}
        {Row("**all**", result.Requests.Count)}

        | minutes | resident MB | managed heap MB | running | waiting | tokens generated |
        |---|---|---|---|---|---|
        {string.Join("\n", Chosen(result.Samples).Select(Row))}

        {string.Join("\n", result.Goals.Select(goal => goal.ListItem))}

        Growth is from the least of the second quarter of the time, when caches are full, to the least of the last. Requests, reloads and collections only ever add to what the server holds at rest, so the least of a
        quarter is near that, whatever the noise; what leaks raises it. Resident memory may grow by 5 %, and the managed heap in it by as many bytes, because its own least depends on when it was collected. The two
        quarters lie {options.Requests / 2:F0} requests apart, so a leak of {result.MostBytes / (options.Requests / 2):F0} bytes a request passes the bounds. Per generated token the server allocated
        {(result.Samples[^1].Allocated - result.Samples[0].Allocated) / (result.Samples[^1].Tokens - result.Samples[0].Tokens):F0} bytes of managed memory, requests, reloads and scrapes included.
        """);

    private static IEnumerable<SoakSample> Chosen(IReadOnlyList<SoakSample> samples) => Enumerable.Range(0, Rows).Select(row => samples[row * (samples.Count - 1) / (Rows - 1)]);

    private static string Row(string name, Func<SoakOutcome, int> count) =>
        $"| {name} | {count(SoakOutcome.Answered)} | {count(SoakOutcome.Left)} | {count(SoakOutcome.Refused)} | {count(SoakOutcome.TurnedAway)} | {count(SoakOutcome.ServerError)} | {count(SoakOutcome.Broken)} |";

    private static string Row(SoakSample sample) => string.Create(CultureInfo.InvariantCulture,
        $"| {sample.Minutes:F1} | {sample.Resident / 1e6:F1} | {sample.Heap / 1e6:F1} | {sample.Running:F0} | {sample.Waiting:F0} | {sample.Tokens:F0} |");
}
