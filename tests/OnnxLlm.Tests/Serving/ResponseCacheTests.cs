using System.Net;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

public sealed class ResponseCacheTests
{
    private const string Greedy = """{"model":"org/toy","prompt":"Once","temperature":0,"max_tokens":20}""";

    [Theory]
    [InlineData(Greedy)]
    [InlineData("""{"model":"org/toy","prompt":"Once","seed":7,"max_tokens":20}""")]
    public async Task Request_Deterministic_IsAnsweredOnce(string body)
    {
        await using var server = await TestServer.StartAsync();
        var first = await AskAsync(server, body);
        var second = await AskAsync(server, body);
        Assert.Equal(("miss", "hit"), (first.State, second.State));
        Assert.Equal(first.Text, second.Text);
        Assert.Equal((1, 1), (server.Metrics.CacheHits.Value(), server.Metrics.CacheMisses.Value()));
        Assert.Equal(1, server.Metrics.RequestPromptTokens.Count);
    }

    [Fact]
    public async Task Stream_FromTheCache_IsTheSameStream()
    {
        await using var server = await TestServer.StartAsync();
        var body = JsonNode.Parse(Greedy)!.AsObject();
        var live = await server.StreamAsync("/v1/completions", body);
        var cached = await server.StreamAsync("/v1/completions", body);
        Assert.Equal(live.Select(Choices), cached.Select(Choices));
        Assert.Equal(("hit", 1), ((await AskAsync(server, Greedy)).State, server.Metrics.RequestPromptTokens.Count));
    }

    [Fact]
    public async Task Request_ByChance_IsNeverCached()
    {
        await using var server = await TestServer.StartAsync();
        var body = """{"model":"org/toy","prompt":"Once","max_tokens":20}""";
        Assert.Null((await AskAsync(server, body)).State);
        Assert.Null((await AskAsync(server, body)).State);
        Assert.Equal(0, server.Metrics.CacheMisses.Value());
    }

    [Fact]
    public async Task NoStore_BypassesTheCache()
    {
        await using var server = await TestServer.StartAsync();
        await AskAsync(server, Greedy);
        Assert.Null((await AskAsync(server, Greedy, ("Cache-Control", "no-store"))).State);
        Assert.Equal(2, server.Metrics.RequestPromptTokens.Count);
    }

    [Theory]
    [InlineData("max_tokens", "19")]
    [InlineData("prompt", "\"Twice\"")]
    [InlineData("n", "2")]
    [InlineData("stop", "\"x\"")]
    [InlineData("logit_bias", "{\"5\":1}")]
    [InlineData("presence_penalty", "1")]
    [InlineData("repetition_penalty", "1.1")]
    [InlineData("min_tokens", "2")]
    [InlineData("ignore_eos", "true")]
    [InlineData("skip_special_tokens", "false")]
    [InlineData("echo", "true")]
    [InlineData("logprobs", "0")]
    [InlineData("seed", "8")]
    [InlineData("cache_salt", "\"mine\"")]
    public async Task Key_CoversTheParameter(string field, string value)
    {
        await using var server = await TestServer.StartAsync();
        await AskAsync(server, Greedy);
        var other = JsonNode.Parse(Greedy)!.AsObject();
        other[field] = JsonNode.Parse(value);
        Assert.Equal("miss", (await AskAsync(server, other.ToJsonString())).State);
    }

    [Fact]
    public async Task Size_IsLimited()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 100 });
        await AskAsync(server, Greedy);
        Assert.Equal("miss", (await AskAsync(server, Greedy)).State);
    }

    [Fact]
    public async Task Answer_ThatFailed_IsNotKept()
    {
        await using var server = await TestServer.StartAsync();
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        using var failed = await server.SendAsync("/v1/completions", Greedy);
        Assert.Equal(HttpStatusCode.InternalServerError, failed.StatusCode);
        server.Model.BeforePass = null;
        Assert.Equal("miss", (await AskAsync(server, Greedy)).State);
    }

    private static async Task<(string? State, string Text)> AskAsync(TestServer server, string body, params (string, string)[] headers)
    {
        using var response = await server.SendAsync("/v1/completions", body, headers);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        return (response.Headers.TryGetValues("x-cache", out var state) ? state.Single() : null, answer["choices"]!.ToJsonString());
    }

    private static string? Choices(string data) => data == "[DONE]" ? data : JsonNode.Parse(data)!["choices"]!.ToJsonString();
}
