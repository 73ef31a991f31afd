using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>
/// A thousand requests of all kinds, on a real model whose products two threads share, as they come one by one and as many at a time. Prompts are cut into other pieces each time, and
/// share what they have in common.
/// </summary>
public sealed class ReplayTests
{
    private const int Requests = 1000;

    [Theory]
    [InlineData(Weights.Floats)]
    [InlineData(Weights.Bytes)]
    [InlineData(Weights.BytesAndCache)]
    public async Task Requests_Replayed_AnswerTheSameAtAnyConcurrency(Weights weights)
    {
        using var package = new ServedPackage(weights: weights, width: 256);
        var opened = ModelPackage.Open(package.Folder);
        var (alone, _) = await ReplayAsync(opened, clients: 1, chunk: 8);
        foreach (var (clients, chunk, least) in new[] { (8, 32, 5), (32, 56, 20) })
        {
            var (together, batch) = await ReplayAsync(opened, clients, chunk);
            Assert.InRange(batch, least, clients);
            for (var i = 0; i < Requests; i++) AssertSame(alone[i], together[i], weights, $"request {i} with {clients} clients");
        }
    }

    /// <summary>Kernels for 8-bit weights sum every row in one order. Float weights are multiplied by the runtime, which promises none: a few hundred roundings of 6e-8.</summary>
    private static void AssertSame(Reply alone, Reply together, Weights weights, string what)
    {
        Assert.True(alone.Tokens.SequenceEqual(together.Tokens), what);
        if (weights == Weights.Floats) Closeness.AssertClose(together.Scores, alone.Scores, 2e-5, what);
        else Assert.True(alone.Scores.SequenceEqual(together.Scores), what);
    }

    /// <summary>The replies, and how many sequences were decoded together on average.</summary>
    private static async Task<(Reply[] Replies, double Batch)> ReplayAsync(ModelPackage package, int clients, int chunk)
    {
        var session = new GenerationSession(package, 32, 128, new SessionSettings { Threads = 2 });
        var metrics = new ServingMetrics();
        using var engine = new InferenceEngine(new OnnxModelRunner(session), new() { PrefillChunk = chunk, ShortestPrefix = 4, QueueLimit = 64 }, metrics, TimeProvider.System, NullLogger.Instance);
        return (await ReplayAsync(engine, clients), metrics.BatchSize.Sum / metrics.BatchSize.Count);
    }

    private static async Task<Reply[]> ReplayAsync(InferenceEngine engine, int clients)
    {
        var replies = new Reply[Requests];
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < Requests;) replies[i] = await AskAsync(engine, i);
        }));
        return replies;
    }

    private static async Task<Reply> AskAsync(InferenceEngine engine, int number)
    {
        var random = new Random(number);
        var output = Channel.CreateUnbounded<SequenceEvent>();
        engine.Submit([new Sequence
        {
            Prompt = [.. Enumerable.Range(0, 1 + random.Next(40)).Select(k => k < 12 ? k + number % 3 : random.Next(100))],
            MaxTokens = number % 5 == 0 ? 1 + random.Next(12) : 30 + random.Next(24),
            Sampling = number % 4 == 0 ? Greedy : new() { Temperature = 0.8, TopP = number % 4 == 1 ? 0.9 : 1, FrequencyPenalty = number % 2, Seed = (ulong)number },
            Alternatives = 0,
            Output = output,
        }]);
        var (tokens, _) = await GeneratedAsync(output.Reader);
        return new Reply([.. tokens.Select(token => token.Token)], [.. tokens.Select(token => token.Score!.LogProb)]);
    }

    private sealed record Reply(int[] Tokens, float[] Scores);
}
