using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Measuring;

namespace OnnxLlm.Benchmarks.Serve;

/// <summary>The clients' side of a run of the server.</summary>
/// <param name="vocabulary">Tokens that prompts are made of.</param>
/// <param name="round">Another round, other prompts.</param>
internal sealed class ServeLoad(AnswerOptions options, string model, int vocabulary, int round, TimeProvider time)
{
    /// <summary>Clients at a time; only reported.</summary>
    public static IReadOnlyList<int> ClientCounts { get; } = [2, 4, 8];

    private const int AnswersEach = 16;

    private int _clients;

    /// <summary>Starts a server, warms it up, and asks it for a bounded number of answers.</summary>
    public ServeRun Run()
    {
        var machine = new ProcessorTime(time);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        using ServerProcess server = ServerProcess.Start(model, options.Threads);
        IReadOnlyList<AnswerTime> answers = OneByOne(server.Address);
        ClientLoad[] loads = [.. ClientCounts.Select(clients => new ClientLoad(clients, Rate(server.Address, clients)))];
        double others = machine.OthersShare(server.ProcessorTime + Environment.CpuUsage.TotalTime - before);
        return new(answers, loads, server.PeakBytes, others);
    }

    private IReadOnlyList<AnswerTime> OneByOne(Uri server)
    {
        using StreamingClient client = Client(server);
        Prompts prompts = Prompts();
        Ask(client, prompts, DecodeJob.WarmUp);
        return Ask(client, prompts, options.Answers);
    }

    /// <summary>
    /// Every client asks again as soon as it has its answer, so the last answers meet a server that is no longer full. Each has had an
    /// answer before: its connection is open, and the server has decoded as many sequences at a time.
    /// </summary>
    private double Rate(Uri server, int count)
    {
        (StreamingClient Client, Prompts Prompts)[] clients = [.. Enumerable.Range(0, count).Select(_ => (Client(server), Prompts()))];
        Together(1);
        long begin = time.GetTimestamp();
        Together(AnswersEach);
        TimeSpan elapsed = time.GetElapsedTime(begin);
        foreach ((StreamingClient client, _) in clients) client.Dispose();
        return count * AnswersEach * options.Tokens / elapsed.TotalSeconds;

        void Together(int answers) => Task.WaitAll([.. clients.Select(client =>
            Task.Factory.StartNew(() => Ask(client.Client, client.Prompts, answers), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))]);
    }

    private static IReadOnlyList<AnswerTime> Ask(StreamingClient client, Prompts prompts, int answers) =>
        [.. Enumerable.Range(0, answers).Select(_ => client.Ask(prompts.Next()))];

    private StreamingClient Client(Uri server) => new(server, Path.GetFileName(model), options.Tokens, time);

    private Prompts Prompts() => new(vocabulary, HashCode.Combine(round, _clients++));
}
