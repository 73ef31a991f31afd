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

/// <summary>What lies between the server and the bare step loop when several clients stream: the same prompts and answers at the same batch, each side in its own process, in turn.</summary>
internal sealed class ClientsSuite(ClientsOptions options, TimeProvider time, TextWriter output)
{
    private int _seed;

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var temporary = new TemporaryFolder("clients");
        string package = LargePackage.In(options.Models ?? temporary.Path);
        var machine = new QuietMachine(time, options.Threads, output);
        var result = new ClientsResult(options.Counts.ToDictionary(count => count, count => Alternation.Run(
            options.Rounds, machine, () => Logged($"bare loop, batch {count}", Bare(package, count)), () => Logged($"server, {count} clients", Served(package, count)))));
        string section = ClientsReport.Section(result, options, MeasuredModel.Describe(package), CacheBytes(package), time.GetLocalNow());
        return new Publication("clients", section, result.OthersShare, result.Goals).To(output, options.Report);
    }

    private ClientsRun Bare(string package, int batch)
    {
        int[] numbers = [options.Prompt, options.Tokens, options.Threads, .. Enumerable.Repeat(batch, ClientsOptions.Answers(batch))];
        WorkerRun run = WorkerProcess.Self("bare loop", ["peers-worker", PeersWorker.Own, package, .. numbers.Select(Text)]).Run();
        double first = run.Steps.Sum(answer => answer.FirstMilliseconds!.Value), rest = run.Steps.Sum(answer => answer.Milliseconds!.Value);
        int answers = run.Steps.Count() * batch;
        return new(answers * options.Tokens / (first + rest) * 1e3, answers * (options.Tokens - 1) / rest * 1e3, first / run.Steps.Count(), run.PeakBytes, run.OthersShare);
    }

    private ClientsRun Served(string package, int count)
    {
        using ServerProcess server = ServerProcess.Start(package, options.Threads, "--slots", Text(count), "--max-length", Text(options.Prompt + options.Tokens));
        using var http = new HttpClient { BaseAddress = server.Address };
        var job = new ClientsJob(server.Address, Path.GetFileName(package), Tokenizer.Load(package).VocabularySize, options.Prompt, options.Tokens, count, _seed++);
        (job with { Tokens = ClientsOptions.WarmUpTokens }).Worker().Run();
        (SoakSample before, TimeSpan spent) = (Scrape(http), server.HttpTime);
        WorkerRun run = (job with { Seed = _seed++ }).Worker().Run(() => server.ProcessorTime);
        (SoakSample after, spent) = (Scrape(http), server.HttpTime - spent);
        var load = new StreamedLoad(count, options.Tokens, [.. run.Steps]);
        return new(load.WholeRate, load.SteadyRate, load.LateFirst, server.PeakBytes, run.OthersShare)
        {
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

    private ClientsRun Logged(string name, ClientsRun run)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {name}: {run.WholeRate:F0} tokens/s, steady {run.SteadyRate:F0}; first token {run.LateFirst:F0} ms; beside the model {run.HttpMicroseconds:F0} µs and {run.AllocatedBytes:F0} bytes a token; {run.PeakBytes / 1e6:F0} MB; others {run.OthersShare:P0}"));
        return run;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
