using System.Collections.Immutable;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Tests.Serving;

public sealed class LiveAnswerTests
{
    private const string Thread = "courier";

    /// <summary>Its text shows that an answer is over, before the engine knows. What its reader does then must not hold up everybody else's tokens.</summary>
    [Theory]
    [InlineData("abcd", "c")]
    [InlineData("abcd", "")]
    public async Task End_OfAnAnswer_IsNotOnTheThreadThatCarriesTokens(string text, string stop)
    {
        var courier = new Courier();
        var request = new GenerationRequest { Prompts = [[5]], Sampling = new(), Stop = stop.Length == 0 ? [] : [stop] };
        using var answer = new LiveAnswer(request, TestServer.Describe("toy", TestServer.Noise()), new Caller("", false, 0, null), Guardrails.Create([], null), new ServingMetrics(), CancellationToken.None) { Seed = 1, Choices = 1 };
        var reading = ReadAsync(answer);
        var sequence = answer.Sequences.Single();
        foreach (var token in TestServer.Tokenizer.Encode(text)) courier.Post(sequence.Output, new TokensGenerated(0, [new GeneratedToken(token, null)]));
        courier.Go();
        courier.Post(sequence.Output, new SequenceFinished(0, FinishReason.Length));
        courier.Stop();
        var (shown, threads) = await reading.WaitAsync(TestServer.Patience);
        Assert.Equal(stop.Length == 0 ? text : "ab", shown);
        Assert.Contains(Thread, threads[..^1]);
        Assert.NotEqual(Thread, threads[^1]);
    }

    /// <returns>The text, and the threads on which its pieces came and, last, its end.</returns>
    private static async Task<(string Text, ImmutableArray<string?> Threads)> ReadAsync(LiveAnswer answer)
    {
        var (text, threads) = ("", new List<string?>());
        await foreach (var delta in answer.ReadAsync(CancellationToken.None).ConfigureAwait(false))
        {
            text += delta.Text;
            threads.Add(System.Threading.Thread.CurrentThread.Name);
        }

        return (text, [.. threads, System.Threading.Thread.CurrentThread.Name]);
    }
}
