namespace OnnxLlm.Tools.Measuring;

/// <summary>Times answers that a running server streams to some clients, each of which asks again as soon as it has its answer.</summary>
/// <param name="server">Where it is, and what it says of itself.</param>
internal sealed class ServerBench(BenchJob job, BenchedServer server, TimeProvider time)
{
    public BenchRun Run()
    {
        (StreamingClient Client, Prompts Prompts)[] clients = [.. Enumerable.Range(0, job.Clients).Select(i => (
            new StreamingClient(server.Address, server.Model, job.Tokens, time, server.Key), new Prompts(server.Vocabulary, seed: i, job.PromptTokens)))];
        try
        {
            Together(clients, job.WarmUp);
            long begin = time.GetTimestamp();
            AnswerTime[] answers = Together(clients, job.Rounds);
            return new(server.Model, answers, time.GetElapsedTime(begin).TotalSeconds);
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            throw new ToolException($"{server.Address}: {error.Message}");
        }
        finally
        {
            foreach ((StreamingClient client, _) in clients) client.Dispose();
        }
    }

    /// <summary>Each client asks from a thread of its own.</summary>
    private static AnswerTime[] Together((StreamingClient Client, Prompts Prompts)[] clients, int rounds)
    {
        Task<AnswerTime[]>[] asking = [.. clients.Select(c => Task.Factory.StartNew(
            () => Enumerable.Range(0, rounds).Select(_ => c.Client.Ask(c.Prompts.Next())).ToArray(), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        return [.. Task.WhenAll(asking).GetAwaiter().GetResult().SelectMany(answers => answers)];
    }
}
