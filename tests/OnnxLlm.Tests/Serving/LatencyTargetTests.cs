using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A target for the time between two tokens, under load: passes take as long as the test's clock says, in proportion to the sequences in them.</summary>
public sealed class LatencyTargetTests
{
    private const int Clients = 32, Target = 85;

    [Fact]
    public async Task BatchCap_UnderLoad_FallsToWhatTheTargetAllowsAndRisesAgain()
    {
        var (time, model) = (new ManualTime(), TestServer.Noise(slots: Clients));
        await using var server = await TestServer.StartAsync(model, time: time, change: options => options with
        {
            CacheBytes = 0,
            Engine = options.Engine with { LatencyTarget = TimeSpan.FromMilliseconds(Target), PrefixCacheBytes = 0 },
        });
        var millisecondsEach = 10;
        var slow = 0;
        model.BeforePass = () =>
        {
            var pass = millisecondsEach * server.Engine.Running;
            if (pass > Target) slow++;
            time.Advance(TimeSpan.FromMilliseconds(pass));
        };
        Assert.Equal(Clients, await CapAsync(server));

        await LoadAsync(server, requests: 12);
        Assert.InRange(await CapAsync(server), Target / 20, Target / 10);
        slow = 0;
        await LoadAsync(server, requests: 1);
        Assert.Equal(0, slow);

        millisecondsEach = 1;
        await LoadAsync(server, requests: 12);
        Assert.InRange(await CapAsync(server), Target / 10 + 4, Clients);        // as many as ever ran together; clients take a while to ask again
    }

    /// <summary>Steps in which a prompt is read are not judged, and who runs may stay, so it takes some generations of requests until the cap is where it belongs.</summary>
    private static Task LoadAsync(TestServer server, int requests) => Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
    {
        for (var i = 0; i < requests; i++)
            await server.CompleteAsync(new() { ["max_tokens"] = 100, ["ignore_eos"] = true, ["seed"] = client });
    }));

    private static async Task<double> CapAsync(TestServer server) => Scrape.Parse(await server.Http.GetStringAsync("/metrics"))["onnxllm_batch_cap"];
}
