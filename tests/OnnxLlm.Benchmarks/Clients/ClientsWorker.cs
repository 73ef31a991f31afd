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
/// The clients as a process of their own. All begin together, and each asks again as soon as it has its answer. A line per answer, printed when all are over.
/// </summary>
internal sealed class ClientsWorker(ClientsJob job, TimeProvider time)
{
    private const int SeedsApart = 1000;

    public int Run()
    {
        Say(new WorkerLine { About = job.Model });
        Ask(client: job.Clients, ClientsOptions.WarmUpTokens, answers: 1, begin: 0);
        long begin = time.GetTimestamp();
        Task<WorkerLine[]>[] asking = [.. Enumerable.Range(0, job.Clients).Select(client => Task.Factory.StartNew(
            () => Ask(client, job.Tokens, ClientsOptions.Answers(job.Clients), begin), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        foreach (WorkerLine line in Task.WhenAll(asking).GetAwaiter().GetResult().SelectMany(lines => lines)) Say(line);
        Say(new WorkerLine { Done = true });
        Console.In.ReadToEnd();
        return 0;
    }

    private WorkerLine[] Ask(int client, int tokens, int answers, long begin)
    {
        using var streams = new StreamingClient(job.Server, job.Model, tokens, time);
        var prompts = new Prompts(job.Vocabulary, job.Seed * SeedsApart + client, job.Prompt);
        return [.. Enumerable.Range(1, answers).Select(answer => Ask(streams, prompts, client, answer, begin))];
    }

    private WorkerLine Ask(StreamingClient streams, Prompts prompts, int client, int answer, long begin)
    {
        int[] prompt = prompts.Next();
        double began = time.GetElapsedTime(begin).TotalMilliseconds;
        AnswerTime took = streams.Ask(prompt);
        return new WorkerLine { Step = answer, Client = client, BeganMilliseconds = began, FirstMilliseconds = took.FirstMilliseconds, Milliseconds = took.RestMilliseconds, Gaps = took.Gaps };
    }

    private static void Say(WorkerLine line) => Console.WriteLine(line);
}
