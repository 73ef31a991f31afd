using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Benchmarks.Soak;
using OnnxLlm.Text;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>One side of the comparison at one number of clients: it stays, warm, for turns that are short, so that a slow phase of the machine meets all sides.</summary>
internal abstract class ClientsSide(string name) : IDisposable
{
    public string Name { get; } = name;

    public abstract ClientsRun Turn();

    public abstract void Dispose();
}

/// <summary>A step loop without a server; of our runtime or another one.</summary>
internal sealed class LoopSide : ClientsSide
{
    private readonly ClientsOptions _options;
    private readonly int _batch;
    private readonly PeerTurns _turns;

    public LoopSide(ClientsOptions options, string runtime, string model, int batch) : base(runtime)
    {
        (_options, _batch) = (options, batch);
        _turns = new PeerTurns(runtime, model, options.Prompt, options.Tokens, options.Threads, batch, ClientsOptions.Answers);
    }

    public override ClientsRun Turn()
    {
        WorkerRun run = _turns.Next();
        double first = run.Steps.Sum(answer => answer.FirstMilliseconds!.Value), rest = run.Steps.Sum(answer => answer.Milliseconds!.Value);
        int answers = run.Steps.Count() * _batch;
        return new(answers * _options.Tokens / (first + rest) * 1e3, answers * (_options.Tokens - 1) / rest * 1e3, run.PeakBytes, run.OthersShare)
        {
            Firsts = [.. run.Steps.Select(answer => answer.FirstMilliseconds!.Value)],
        };
    }

    public override void Dispose() => _turns.Dispose();
}

/// <summary>The server, and its clients in a process of their own.</summary>
internal sealed class ServerSide : ClientsSide
{
    private const int RequestsPerLook = 16;

    private readonly ClientsOptions _options;
    private readonly ServerProcess _server;
    private readonly HttpClient _http;
    private readonly WorkerTurns _clients;

    public ServerSide(ClientsOptions options, string package, int count) : base("server")
    {
        _options = options;
        _server = ServerProcess.Start(package, options.Threads, "--slots", Text(count), "--max-length", Text(options.Prompt + options.Tokens));
        _http = new HttpClient { BaseAddress = _server.Address };
        _clients = new ClientsJob(_server.Address, Path.GetFileName(package), Tokenizer.Load(package).VocabularySize, options.Prompt, options.Tokens, count, Seed: count).Worker().Begin();
        FillPrefixCache(package);
        _clients.Next();
    }

    public override ClientsRun Turn()
    {
        (SoakSample before, ThreadTime began) = (Scrape(), _server.HttpTime);
        WorkerRun run = _clients.Next(() => _server.ProcessorTime);
        (double spent, SoakSample after) = (_server.HttpTime.MicrosecondsSince(began), Scrape());
        var load = new StreamedLoad(_options.Tokens, [.. run.Steps]);
        return new(load.WholeRate, load.SteadyRate, _server.PeakBytes, run.OthersShare)
        {
            Firsts = load.Firsts,
            Gaps = load.Gaps,
            HttpMicroseconds = spent / (after.Tokens - before.Tokens),
            AllocatedBytes = (after.Allocated - before.Allocated) / (after.Tokens - before.Tokens),
        };
    }

    public override void Dispose()
    {
        _clients.Dispose();
        _http.Dispose();
        _server.Dispose();
    }

    /// <summary>Until the prefix cache is full, what it takes is fresh memory, which the system clears page by page. So many requests also compile what they run, again.</summary>
    private void FillPrefixCache(string package)
    {
        using var client = new StreamingClient(_server.Address, Path.GetFileName(package), tokens: 1, TimeProvider.System);
        var prompts = new Prompts(Tokenizer.Load(package).VocabularySize, seed: 0, _options.Prompt + _options.Tokens - 1);
        double before, kept = 0;
        do
        {
            before = kept;
            for (int asked = 0; asked < RequestsPerLook; asked++) client.Ask(prompts.Next());
            kept = Scrape().PrefixBytes;
        }
        while (kept > before);
    }

    private SoakSample Scrape() => SoakSample.Of(_http.GetStringAsync("/metrics").GetAwaiter().GetResult(), minutes: 0);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
