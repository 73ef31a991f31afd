using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Benchmarks.Soak;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>
/// What lies between the server and the bare step loop when several clients stream, and whether it is still faster than step loops of other runtimes: prompts and
/// answers of the same lengths at the same batch, each side in its own process, in turn.
/// </summary>
internal sealed class ClientsSuite(ClientsOptions options, TimeProvider time, TextWriter output)
{
    private readonly QuietMachine _machine = new(time, options.Threads, output);
    private int _seed;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var temporary = new TemporaryFolder("clients");
        if (options.Peers) PeerLibrary.Require();
        string folder = options.Models ?? temporary.Path, package = LargePackage.In(folder);
        Dictionary<string, string> peers = options.Peers ? new() { [PeersWorker.Llama] = LargePackage.GgufIn(folder), [PeersWorker.GenAi] = package } : [];
        var result = new ClientsResult(options.Counts.ToDictionary(count => count, count => Rounds(package, peers, count)));
        string section = ClientsReport.Section(result, options, MeasuredModel.Describe(package), CacheBytes(package), time.GetLocalNow());
        return new Publication("clients", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private IReadOnlyList<ClientsRound> Rounds(string package, IReadOnlyDictionary<string, string> peers, int count) =>
        [.. Enumerable.Range(0, options.Rounds).Select(_ => new ClientsRound(
            Quietly($"bare loop, batch {count}", () => Loop(PeersWorker.Own, package, count)),
            Quietly($"server, {count} clients", () => Served(package, count)),
            peers.ToDictionary(peer => peer.Key, peer => Quietly($"{peer.Key}, batch {count}", () => Loop(peer.Key, peer.Value, count)))))];

    private ClientsRun Loop(string runtime, string model, int batch)
    {
        int[] numbers = [options.Prompt, options.Tokens, options.Threads, .. Enumerable.Repeat(batch, ClientsOptions.Answers(batch))];
        WorkerRun run = WorkerProcess.Self(runtime, ["peers-worker", runtime, model, .. numbers.Select(Text)]).Run();
        double first = run.Steps.Sum(answer => answer.FirstMilliseconds!.Value), rest = run.Steps.Sum(answer => answer.Milliseconds!.Value);
        int answers = run.Steps.Count() * batch;
        return new(answers * options.Tokens / (first + rest) * 1e3, answers * (options.Tokens - 1) / rest * 1e3, run.PeakBytes, run.OthersShare)
        {
            Firsts = [.. run.Steps.Select(answer => answer.FirstMilliseconds!.Value)],
        };
    }

    private ClientsRun Served(string package, int count)
    {
        using ServerProcess server = ServerProcess.Start(package, options.Threads, "--slots", Text(count), "--max-length", Text(options.Prompt + options.Tokens));
        using var http = new HttpClient { BaseAddress = server.Address };
        var job = new ClientsJob(server.Address, Path.GetFileName(package), Tokenizer.Load(package).VocabularySize, options.Prompt, options.Tokens, count, _seed++);
        for (int answers = 0; answers < ClientsOptions.WarmUpAnswers; answers += count * ClientsOptions.Answers(count)) (job with { Seed = _seed++ }).Worker().Run();
        (SoakSample before, TimeSpan spent) = (Scrape(http), server.HttpTime);
        WorkerRun run = (job with { Seed = _seed++ }).Worker().Run(() => server.ProcessorTime);
        (SoakSample after, spent) = (Scrape(http), server.HttpTime - spent);
        var load = new StreamedLoad(count, options.Tokens, [.. run.Steps]);
        return new(load.WholeRate, load.SteadyRate, server.PeakBytes, run.OthersShare)
        {
            Firsts = load.Firsts,
            Gaps = load.Gaps,
            HttpMicroseconds = spent.TotalMicroseconds / (after.Tokens - before.Tokens),
            AllocatedBytes = (after.Allocated - before.Allocated) / (after.Tokens - before.Tokens),
        };
    }

    private static SoakSample Scrape(HttpClient http) => SoakSample.Of(http.GetStringAsync("/metrics").GetAwaiter().GetResult(), minutes: 0);

    /// <summary>Keys and values of one slot.</summary>
    private double CacheBytes(string package)
    {
        ModelConfig config = ModelConfig.Load(Path.Combine(package, PackageManifest.ConfigFile));
        return 2.0 * config.Layers * config.KeyValueHeads * (config.Width / config.Heads) * sizeof(float) * (options.Prompt + options.Tokens);
    }

    private ClientsRun Quietly(string name, Func<ClientsRun> measure)
    {
        _machine.Wait();
        ClientsRun run = measure();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {name}: {run.WholeRate:F0} tokens/s, steady {run.SteadyRate:F0}; first token {Percentiles.Of(run.Firsts)!.P50:F0} ms; beside the model {run.HttpMicroseconds:F0} µs and {run.AllocatedBytes:F0} bytes a token; {run.PeakBytes / 1e6:F0} MB; others {run.OthersShare:P0}"));
        return run;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
