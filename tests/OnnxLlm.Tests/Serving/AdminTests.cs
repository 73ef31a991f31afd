using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;

namespace OnnxLlm.Tests.Serving;

/// <summary>What administrators do to the server as a whole; what they do to a model is in <see cref="ModelRegistryTests"/>.</summary>
public sealed class AdminTests
{
    private const string Body = """{"model":"org/toy","prompt":"Once upon a time there was a small server. It said what it had read.","temperature":0,"max_tokens":4}""";

    [Fact]
    public async Task ResetCaches_ForgetsAnswersAndBeginnings()
    {
        await using var server = await StartAsync();
        Assert.Equal(["miss", "hit"], [await CacheStateAsync(server), await CacheStateAsync(server)]);
        Assert.True(server.Engine.PrefixCacheBytes > 0);
        Assert.Equal(HttpStatusCode.OK, await AdministerAsync(server, "/admin/cache/reset"));
        Assert.Equal(0, server.Engine.PrefixCacheBytes);
        Assert.Empty(server.Model.Entries);
        Assert.Equal("miss", await CacheStateAsync(server));
    }

    [Fact]
    public async Task Drain_RefusesNewWorkAndEndsTheServer()
    {
        await using var server = await StartAsync();
        var ended = new TaskCompletionSource();
        server.Service<IHostApplicationLifetime>().ApplicationStopping.Register(ended.SetResult);
        Assert.Equal(HttpStatusCode.Accepted, await AdministerAsync(server, "/admin/drain"));
        await ended.Task.WaitAsync(TestServer.Patience);
    }

    [Theory]
    [InlineData("/admin/drain")]
    [InlineData("/admin/cache/reset")]
    public async Task Route_WithoutTheKey_IsClosed(string path)
    {
        await using var server = await StartAsync();
        using var response = await server.SendAsync(path, "");
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    private static Task<TestServer> StartAsync() => TestServer.StartAsync(change: options => options with { AdminKeys = ["admin"] });

    private static async Task<HttpStatusCode> AdministerAsync(TestServer server, string path)
    {
        using var response = await server.SendAsync(path, "", ("Authorization", "Bearer admin"));
        Assert.NotNull(JsonNode.Parse(await response.Content.ReadAsStringAsync())!["status"]);
        return response.StatusCode;
    }

    private static async Task<string> CacheStateAsync(TestServer server)
    {
        using var response = await server.SendAsync("/v1/completions", Body);
        await response.Content.ReadAsStringAsync();
        return response.Headers.GetValues("x-cache").Single();
    }
}
