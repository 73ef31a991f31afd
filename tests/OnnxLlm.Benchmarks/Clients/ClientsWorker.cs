using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Clients;

/// <summary>The load of one run.</summary>
/// <param name="Server">Where the server listens.</param>
/// <param name="Model">The model's name there.</param>
/// <param name="Vocabulary">Tokens that prompts are made of.</param>
/// <param name="Prompt">Tokens of each prompt.</param>
/// <param name="Tokens">Tokens of each answer.</param>
/// <param name="Clients">Streams at a time.</param>
/// <param name="Seed">Another seed, other prompts.</param>
internal sealed record ClientsJob(Uri Server, string Model, int Vocabulary, int Prompt, int Tokens, int Clients, int Seed)
{
    /// <summary>The load as a process of its own.</summary>
    public WorkerProcess Worker() => WorkerProcess.Self(
        "clients", ["clients-worker", Server.ToString(), Model, .. ((int[])[Vocabulary, Prompt, Tokens, Clients, Seed]).Select(number => number.ToString(CultureInfo.InvariantCulture))]);
}

/// <summary>
/// The clients as a process of their own, each with a connection that it keeps. In each turn all begin together, and each asks again as soon as it has its answer; then all
/// ask once more, at once, with prompts of which only the last token is new. A line per answer, printed when all are over.
/// </summary>
internal sealed class ClientsWorker : IDisposable
{
    private const int SeedsApart = 1000;

    private readonly ClientsJob _job;
    private readonly TimeProvider _time;
    private readonly (StreamingClient Streams, Prompts Prompts)[] _clients;
    private readonly StreamingClient _first;
    private readonly int[] _known;
    private int _asked;

    public ClientsWorker(ClientsJob job, TimeProvider time)
    {
        (_job, _time) = (job, time);
        _clients = [.. Enumerable.Range(0, job.Clients).Select(client => (Client(job.Tokens), Prompts(client)))];
        (_first, _known) = (Client(ClientsOptions.WarmUpTokens), Prompts(job.Clients).Next());
    }

    public int Run()
    {
        Say(new WorkerLine { About = _job.Model });
        return WorkerTurns.Take(() =>
        {
            long begin = _time.GetTimestamp();
            Together(client => [.. Enumerable.Range(1, ClientsOptions.Answers).Select(answer => Ask(client, answer, _clients[client].Prompts.Next(), begin))]);
            _first.Ask(Known());        // what comes behind it finds its prompt in the prefix cache
            Together(client => [Ask(client, ClientsOptions.Answers + 1, Known(), begin) with { Steady = true }]);
        });
    }

    public void Dispose()
    {
        foreach (var (streams, _) in _clients) streams.Dispose();
        _first.Dispose();
    }

    private StreamingClient Client(int tokens) => new(_job.Server, _job.Model, tokens, _time);

    private Prompts Prompts(int client) => new(_job.Vocabulary, _job.Seed * SeedsApart + client, _job.Prompt);

    /// <summary>A prompt that was not asked before, because of its last token alone.</summary>
    private int[] Known() => [.. _known.AsSpan(..^1), Interlocked.Increment(ref _asked) % _job.Vocabulary];

    private void Together(Func<int, WorkerLine[]> ask)
    {
        Task<WorkerLine[]>[] asking = [.. Enumerable.Range(0, _job.Clients).Select(client => Task.Factory.StartNew(
            () => ask(client), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        foreach (WorkerLine line in Task.WhenAll(asking).GetAwaiter().GetResult().SelectMany(lines => lines)) Say(line);
    }

    private WorkerLine Ask(int client, int answer, int[] prompt, long begin)
    {
        double began = _time.GetElapsedTime(begin).TotalMilliseconds;
        AnswerTime took = _clients[client].Streams.Ask(prompt);
        return new WorkerLine { Step = answer, Client = client, BeganMilliseconds = began, FirstMilliseconds = took.FirstMilliseconds, Milliseconds = took.RestMilliseconds, Gaps = took.Gaps };
    }

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
