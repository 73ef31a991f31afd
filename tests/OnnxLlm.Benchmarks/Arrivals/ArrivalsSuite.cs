using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Text;
using OnnxLlm.Tools.Measuring;

namespace OnnxLlm.Benchmarks.Arrivals;

/// <summary>How much running streams are held up by a long prompt that comes in.</summary>
/// <param name="model">Folder of a package with room for the long prompt; null: a LLaMA of 124 M parameters, INT8.</param>
internal sealed class ArrivalsSuite(string? model, IReadOnlyList<int> streams, int rounds, int threads, string? report, TimeProvider time, TextWriter output)
{
    public const int LongPrompt = 2000;

    private const int ShortPrompt = 32, Answer = 1600, QuietPieces = 60;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("arrivals");
        string package = Path.TrimEndingDirectorySeparator(model ?? QuantizedCopy.Write(RandomModel.Write(folder.Path, RandomModel.Large), folder.Path));
        var result = new ArrivalsResult([.. Enumerable.Range(0, rounds).SelectMany(round => Round(package, round))]);
        string section = ArrivalsReport.Section(result, rounds, threads, MeasuredModel.Describe(package), time.GetLocalNow());
        return new Publication("arrivals", section, result.OthersShare, result.Goals).To(output, report);
    }

    private IEnumerable<ArrivalsRun> Round(string package, int round)
    {
        new QuietMachine(time, threads, output).Wait();
        using ServerProcess server = ServerProcess.Start(package, threads, "--slots", "32", "--prefix-cache-mb", "0", "--cache-mb", "0", "--pace-ms", "0");
        int vocabulary = Tokenizer.Load(package).VocabularySize;
        Run(1); // code is compiled again while a server answers for the first time; suite load looks at that
        foreach (int count in streams)
        {
            ArrivalsRun run = Run(count);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {count} streams: {ArrivalsRun.Late(run.Quiet):F1} ms, with the prompt {ArrivalsRun.Late(run.Busy):F1} ms: {run.Ratio:F2}; its first token after {run.PromptMilliseconds / 1e3:F1} s; others {run.OthersShare:P0}"));
            yield return run;
        }

        ArrivalsRun Run(int count)
        {
            var random = new Random(HashCode.Combine(round, count));
            return Measure(server, Path.GetFileName(package), count, length => [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabulary))]).GetAwaiter().GetResult();
        }
    }

    private async Task<ArrivalsRun> Measure(ServerProcess server, string name, int count, Func<int, int[]> prompt)
    {
        using var leave = new CancellationTokenSource();
        WatchingClient[] clients = [.. Enumerable.Range(0, count).Select(_ => new WatchingClient(server.Address, name, time))];
        Task[] watching = [.. clients.Select(client => client.WatchAsync(prompt(ShortPrompt), Answer, leave.Token))];
        var machine = new ProcessorTime(time);
        TimeSpan before = server.ProcessorTime + Environment.CpuUsage.TotalTime;
        await Until(clients, 2).ConfigureAwait(false);
        long quiet = time.GetTimestamp();
        await Until(clients, clients.Max(client => client.Count) + QuietPieces).ConfigureAwait(false);
        long begin = time.GetTimestamp();
        await Ask(server.Address, name, prompt(LongPrompt)).ConfigureAwait(false);
        long end = time.GetTimestamp();
        if (watching.Any(task => task.IsCompleted)) throw new BenchmarkException("A stream ended before the long prompt was read.");
        double others = machine.OthersShare(server.ProcessorTime + Environment.CpuUsage.TotalTime - before);
        await leave.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(watching).ConfigureAwait(false);
        ArrivalsRun run = new(count, All(quiet, begin), All(begin, end), time.GetElapsedTime(begin, end).TotalMilliseconds, others);
        foreach (WatchingClient client in clients) client.Dispose();
        return run;

        IReadOnlyList<double> All(long from, long to) => [.. clients.SelectMany(client => client.Gaps(from, to))];
    }

    private async Task Until(WatchingClient[] clients, int pieces)
    {
        while (clients.Any(client => client.Count < pieces)) await Task.Delay(Look, time).ConfigureAwait(false);
    }

    private static async Task Ask(Uri server, string name, int[] prompt)
    {
        using var http = new HttpClient { BaseAddress = server, Timeout = TimeSpan.FromMinutes(5) };
        using HttpRequestMessage request = CompletionRequest.Greedy(name, prompt, 1, stream: false);
        using HttpResponseMessage response = await http.SendAsync(request).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
    }
}
