using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Peers;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>The section of docs/benchmarks.md.</summary>
internal static class ClientsReport
{
    public static string Section(ClientsResult result, ClientsOptions options, string model, double cacheBytes, DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Serving: many clients' streams against the bare step loop

        {now:yyyy-MM-dd}. {Machine.Current}. {model}
        Prompts of {options.Prompt} random token ids, answers of {options.Tokens} tokens at temperature 0, streamed from `/v1/completions` over loopback to clients in a process of their own. In a turn all clients begin together, and each asks
        {ClientsOptions.Answers} times, again as soon as it has its answer; the server runs as it does by default, with as many slots as there are clients, and its prefix cache has been filled. The bare loop, in a process of its own, reads as many prompts, each at once, and
        then decodes all of them together, each step a forward pass and the likeliest tokens, as often in a turn. They take short turns, in every other round in the opposite order, and both processes start anew {options.Starts} times: one may be faster or
        slower than another for all its life. Whole: tokens of all answers by the time from the first request to the end of the last answer, against the bare loop
        with the reading of its prompts. Steady: all clients ask once more, at once, with prompts of which the
        server's prefix cache holds all but the last token: the sum of the rates of all streams, each from its first token to its end, against the bare loop after its prompts. First token: of the bare loop, when all its prompts are read.
        An event may bring several tokens, because the server sends an answer's text every 40 ms at most. Medians of the rounds, but 95 of 100 are of the answers and events of all rounds together; rounds: {string.Join(", ", result.Counts.Select(count => $"{result.Rounds[count].Count} of {count}"))}; threads of the forward pass: {options.Threads}.
        Other programs took at most {result.OthersShare:P1} of the machine during a run; rounds in which they took more than a twentieth were taken again.

        | clients | whole tokens/s: bare | server | **server / bare** | steady tokens/s: bare | server | **server / bare** | first token ms, 95 of 100: bare | server | between events ms, 95 of 100: server |
        |---|---|---|---|---|---|---|---|---|---|
        {string.Join("\n", result.Counts.Select(count => Speed(result, count)))}

        | clients | processor µs per token beside the model | managed bytes allocated per token | peak resident MB: bare | server |
        |---|---|---|---|---|
        {string.Join("\n", result.Counts.Select(count => Cost(result, count)))}

        Beside the model: all threads of the server but the engine's loop and the workers of the forward pass; they read requests and write streams. One more slot of {options.Prompt + options.Tokens} positions costs
        {result.BytesPerSlot / 1e6:F1} MB of resident memory, of which the keys and values are {cacheBytes / 1e6:F1} MB.

        {(result.Peers.Count > 0 ? Beside(result) : "")}{string.Join("\n", result.Goals.Select(goal => goal.ListItem))}
        """);

    private static string Beside(ClientsResult result) => string.Create(CultureInfo.InvariantCulture, $"""
        {PeersReport.Peers}
        They run as the bare loop does, without a server, in {result.PeerRounds} of these rounds, with prompts and answers of the same lengths. The server's own figures are those above.

        | clients | steady tokens/s: {Heads(result)} | whole tokens/s: {Heads(result)} |
        |---|{string.Concat(result.Peers.Select(_ => "---|---|---|---|"))}
        {string.Join("\n", result.Counts.Select(count => $"| {count} | {Beside(result, count, run => run.SteadyRate)} | {Beside(result, count, run => run.WholeRate)} |"))}


        """);

    private static string Heads(ClientsResult result) => string.Join(" | ", result.Peers.Concat(result.Peers.Select(peer => $"**server / {peer}**")));

    private static string Beside(ClientsResult result, int count, Func<ClientsRun, double> figure) => string.Join(
        " | ",
        [
            .. result.Peers.Select(peer => string.Create(CultureInfo.InvariantCulture, $"{result.Peer(peer, count, figure):F0}")),
            .. result.Peers.Select(peer => string.Create(CultureInfo.InvariantCulture, $"**{result.Ratio(peer, count, figure):F2}**")),
        ]);

    private static string Speed(ClientsResult result, int count) => string.Create(CultureInfo.InvariantCulture,
        $"| {count} | {Both(result, count, run => run.WholeRate)} | **{result.Ratio(count, run => run.WholeRate):F2}** | {Both(result, count, run => run.SteadyRate)} | **{result.Ratio(count, run => run.SteadyRate):F2}** | {result.LateBare(count, run => run.Firsts):F0} | {result.LateServed(count, run => run.Firsts):F0} | {result.LateServed(count, run => run.Gaps):F1} |");

    private static string Cost(ClientsResult result, int count) => string.Create(CultureInfo.InvariantCulture,
        $"| {count} | {result.Served(count, run => run.HttpMicroseconds):F0} | {result.Served(count, run => run.AllocatedBytes):F0} | {Both(result, count, run => run.PeakBytes / 1e6)} |");

    private static string Both(ClientsResult result, int count, Func<ClientsRun, double> figure) =>
        string.Create(CultureInfo.InvariantCulture, $"{result.Bare(count, figure):F0} | {result.Served(count, figure):F0}");
}
