using System.Text.Json.Nodes;
using OnnxLlm.Serving;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Replicas that share answers in a real Redis.</summary>
public sealed class SharedCacheTests
{
    private const string Body = """{"model":"org/toy","prompt":"Once upon","temperature":0,"max_tokens":12,"ignore_eos":true,"logprobs":2}""";

    [Needs("redis-server")]
    public async Task Answer_OfOneReplica_IsFoundByTheOther()
    {
        using var redis = await RedisServer.StartAsync();
        var address = redis.Address;
        await using var first = await StartAsync(address);
        await using var second = await StartAsync(address);
        var (given, state) = await AskAsync(first);
        Assert.Equal("miss", state);
        var shared = ("", "");
        await redis.Program.UntilAsync(async () => (shared = await AskAsync(second)).Item2 == "hit" && second.Metrics.SharedCacheHits.Value() == 1);
        Assert.Equal(given, shared.Item1);
        Assert.Equal("hit", (await AskAsync(second)).State);
        Assert.Equal(1, second.Metrics.SharedCacheHits.Value());        // the second time it had the answer itself
    }

    [Needs("redis-server")]
    public async Task Answer_OfAnotherModel_IsNotFound()
    {
        using var redis = await RedisServer.StartAsync();
        var address = redis.Address;
        await using var first = await StartAsync(address);
        await AskAsync(first);
        await redis.Program.UntilAsync(async () => { await using var same = await StartAsync(address); return (await AskAsync(same)).State == "hit"; });
        var model = TestServer.Noise();
        await using var other = await TestServer.StartAsync(change: options => options with { SharedCache = address }, more: [new(TestServer.Describe("other", model, fingerprint: "fp_other"), model)]);
        using var response = await other.SendAsync("/v1/completions", Body.Replace("org/toy", "other", StringComparison.Ordinal));
        Assert.Equal("miss", response.Headers.GetValues("x-cache").Single());
    }

    [Needs("redis-server")]
    public async Task Answer_InAnotherDatabase_IsNotFound()
    {
        using var redis = await RedisServer.StartAsync();
        var address = redis.Address;
        await using var first = await StartAsync(new Uri(address, "2"));
        await AskAsync(first);
        await redis.Program.UntilAsync(async () => { await using var same = await StartAsync(new Uri(address, "2")); return (await AskAsync(same)).State == "hit"; });
        await using var other = await StartAsync(address);
        Assert.Equal("miss", (await AskAsync(other)).State);
    }

    [Needs("redis-server")]
    public async Task Redis_Gone_CostsNoAnswer()
    {
        var redis = await RedisServer.StartAsync();
        await using var server = await StartAsync(redis.Address);
        await AskAsync(server);
        redis.Dispose();
        using var response = await server.SendAsync("/v1/completions", Body.Replace("Once", "Twice", StringComparison.Ordinal));
        Assert.True(response.IsSuccessStatusCode);
        Assert.True(server.Metrics.SharedCacheErrors.Value() > 0);
    }

    [Needs("redis-server")]
    public async Task Redis_BackAgain_IsUsedAgain()
    {
        var redis = await RedisServer.StartAsync();
        var address = redis.Address;
        await using var first = await StartAsync(address);
        await AskAsync(first);
        redis.Dispose();
        using (await first.SendAsync("/v1/completions", Body.Replace("Once", "Twice", StringComparison.Ordinal))) Assert.True(first.Metrics.SharedCacheErrors.Value() > 0);

        using var again = await RedisServer.StartAsync(address.Port);
        await using var second = await StartAsync(address);
        var number = 0;
        await again.Program.UntilAsync(async () =>
        {
            var body = Body.Replace("Once", $"{number++}", StringComparison.Ordinal);        // another each time, so that the first has to ask
            using var given = await first.SendAsync("/v1/completions", body);
            await Task.Delay(100);
            using var found = await second.SendAsync("/v1/completions", body);
            return found.Headers.GetValues("x-cache").Single() == "hit";
        });
    }

    [Fact]
    public async Task Redis_OfAHostThatThereIsNot_CostsNoAnswer()
    {
        await using var server = await StartAsync(new Uri("redis://no-such-host.invalid:6379/"));
        Assert.Equal("miss", (await AskAsync(server)).State);
        Assert.True(server.Metrics.SharedCacheErrors.Value() > 0);
    }

    [Fact]
    public async Task Address_WithADatabaseThatIsNoNumber_IsRefusedAtTheStart()
    {
        var mistake = await Assert.ThrowsAsync<ServingException>(() => StartAsync(new Uri("redis://localhost/answers/")));
        Assert.Contains("'answers' is none", mistake.Message, StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(Uri address) => TestServer.StartAsync(change: options => options with { SharedCache = address });

    private static async Task<(string Text, string State)> AskAsync(TestServer server)
    {
        using var response = await server.SendAsync("/v1/completions", Body);
        var choices = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["choices"]!;
        return (choices.ToJsonString(), response.Headers.GetValues("x-cache").Single());
    }
}
