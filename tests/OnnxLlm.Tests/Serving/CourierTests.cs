using System.Collections.Concurrent;
using System.Threading.Channels;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Serving;

public sealed class CourierTests
{
    private const int Readers = 20, Events = 200;

    [Fact]
    public async Task Events_OfManySequences_ComeInOrderAndAllOnOneThread()
    {
        var courier = new Courier();
        var channels = Enumerable.Range(0, Readers).Select(_ => Channel.CreateUnbounded<SequenceEvent>(new() { SingleReader = true, AllowSynchronousContinuations = true })).ToArray();
        var threads = new ConcurrentDictionary<string, int>();
        var reading = channels.Select(channel => Read(channel.Reader, threads)).ToArray();
        for (var i = 0; i < Events; i++)
        {
            foreach (var channel in channels) courier.Post(channel.Writer, new TokensGenerated(0, [new GeneratedToken(i, null)]));
            courier.Go();
        }

        foreach (var channel in channels) courier.Post(channel.Writer, new SequenceFinished(0, FinishReason.Length));
        courier.Stop();
        foreach (var tokens in await Task.WhenAll(reading).WaitAsync(TestServer.Patience)) Assert.Equal(Enumerable.Range(0, Events), tokens);
        Assert.Contains("courier", threads.Keys);
        Assert.DoesNotContain("end on courier", threads.Keys);
    }

    /// <summary>Nothing wakes it but Stop, and no wake is lost that comes before it waits.</summary>
    [Fact]
    public async Task Stop_WithEventsPosted_DeliversThem()
    {
        for (var i = 0; i < 200; i++)
        {
            var courier = new Courier();
            var channel = Channel.CreateUnbounded<SequenceEvent>();
            courier.Post(channel.Writer, new TokensGenerated(0, [new GeneratedToken(i, null)]));
            courier.Stop();
            Assert.IsType<TokensGenerated>(await channel.Reader.ReadAsync().AsTask().WaitAsync(TestServer.Patience));
        }
    }

    private static async Task<List<int>> Read(ChannelReader<SequenceEvent> events, ConcurrentDictionary<string, int> threads)
    {
        var tokens = new List<int>();
        while (true)
        {
            var happened = await events.ReadAsync().ConfigureAwait(false);
            var thread = Thread.CurrentThread.Name ?? "";
            if (happened is not TokensGenerated generated)
            {
                threads[$"end on {thread}"] = 1;
                return tokens;
            }

            threads[thread] = 1;
            tokens.AddRange(generated.Tokens.Select(token => token.Token));
        }
    }
}
