using System.Net;
using System.Security.Cryptography;
using System.Text;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Api;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

public sealed class KeyTests
{
    private const string Body = """{"model":"org/toy","prompt":[5,6,7],"max_tokens":4,"ignore_eos":true}""";

    [Fact]
    public async Task Quota_OfRequests_Is429UntilItFillsAgain()
    {
        var time = new ManualTime();
        await using var server = await StartAsync("""{"keys":[{"name":"ci","sha256":"@","requests_per_minute":2}]}""", time);
        Assert.Equal((200, "1"), await AskAsync(server));
        Assert.Equal((200, "0"), await AskAsync(server));
        Assert.Equal((429, "0"), await AskAsync(server));
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(200, (await AskAsync(server)).Status);
    }

    [Fact]
    public async Task Quota_OfTokens_CountsPromptAndAnswer()
    {
        var time = new ManualTime();
        await using var server = await StartAsync("""{"keys":[{"name":"ci","sha256":"@","tokens_per_minute":10}]}""", time);
        Assert.Equal(200, (await AskAsync(server)).Status);
        Assert.Equal(200, (await AskAsync(server)).Status);         // 3 left, 7 taken
        Assert.Equal(429, (await AskAsync(server)).Status);
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(200, (await AskAsync(server)).Status);
    }

    [Theory]
    [InlineData("/v1/completions", Body, HttpStatusCode.InternalServerError)]
    [InlineData("/v2/models/org%2Ftoy/generate", """{"text_input":"Once upon a time there was a small server","max_tokens":4}""", HttpStatusCode.FailedDependency)]
    public async Task Quota_OfTokens_CountsAnAnswerThatFailsToo(string path, string body, HttpStatusCode failed)
    {
        await using var server = await StartAsync("""{"keys":[{"name":"ci","sha256":"@","tokens_per_minute":3}]}""", new ManualTime());
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        foreach (var status in new[] { failed, HttpStatusCode.TooManyRequests })
        {
            using var response = await server.SendAsync(path, body, ("Authorization", "Bearer right"));
            Assert.Equal(status, response.StatusCode);
        }
    }

    [Fact]
    public async Task Quota_InTotal_UsedUp_IsRefusedForGood()
    {
        var time = new ManualTime();
        await using var server = await StartAsync("""{"keys":[{"name":"ci","sha256":"@","total_tokens":7}]}""", time);
        Assert.Equal(200, (await AskAsync(server)).Status);
        time.Advance(TimeSpan.FromHours(1));
        using var refused = await server.SendAsync("/v1/completions", Body, ("Authorization", "Bearer right"));
        Assert.Equal((HttpStatusCode.TooManyRequests, "false"), (refused.StatusCode, refused.Headers.GetValues("x-should-retry").Single()));
        Assert.Contains("\"insufficient_quota\"", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quota_PartlyUsed_SaysWhenItIsFullAgain()
    {
        var time = new ManualTime();
        await using var server = await StartAsync("""{"keys":[{"name":"ci","sha256":"@","requests_per_minute":4,"tokens_per_minute":70}]}""", time);
        await AskAsync(server);                                     // 7 tokens
        using var response = await server.SendAsync("/v1/completions", Body, ("Authorization", "Bearer right"));
        Assert.Equal(("30s", "6s"), (response.Headers.GetValues("x-ratelimit-reset-requests").Single(), response.Headers.GetValues("x-ratelimit-reset-tokens").Single()));
    }

    /// <summary>One slot, four answers of one key, then one of another: whether the other is only another or a more urgent one, its answer is among the first two.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Requests_OfOneKey_DoNotKeepOutAnothers(int priority)
    {
        using var steps = new SemaphoreSlim(0);
        using var file = new WrittenFile($$"""{"keys":[{"name":"many","sha256":"@"},{"name":"one","sha256":"#","priority":{{priority}}}]}""");
        await using var server = await TestServer.StartAsync(TestServer.Noise(slots: 1), options => options with { KeyFile = file.Path, CacheBytes = 0 });
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        var first = AskAsync("right");
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 1, TestServer.Patience));
        Task[] more = [AskAsync("right"), AskAsync("right"), AskAsync("right")];
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Waiting == 3, TestServer.Patience));
        var other = AskAsync("left");
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Waiting == 4, TestServer.Patience));
        steps.Release(4);                                           // two answers of two tokens
        await Task.WhenAll(first, other).WaitAsync(TestServer.Patience);
        Assert.DoesNotContain(more, answer => answer.IsCompleted);
        Assert.Equal(priority, server.Metrics.Preemptions.Value());
        steps.Release(100);
        await Task.WhenAll(more);

        async Task AskAsync(string key)
        {
            using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":[5,6],"max_tokens":2,"ignore_eos":true}""", ("Authorization", $"Bearer {key}"));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await response.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task AdminRoutes_OpenToAdministratorsOnly()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["user"], AdminKeys = ["admin"] });
        Assert.Equal(401, await StatusAsync(server, "nobody"));
        Assert.Equal(403, await StatusAsync(server, "user"));
        Assert.Equal(404, await StatusAsync(server, "admin"));
    }

    [Fact]
    public async Task AdminRoutes_WithoutAnAdministrator_AreClosed()
    {
        await using var server = await TestServer.StartAsync();
        Assert.Equal(401, await StatusAsync(server, ""));
    }

    [Theory]
    [InlineData("{", "cannot be read")]
    [InlineData("""{"keys":[{"name":"a","sha256":"12"}]}""", "64 hexadecimal digits")]
    [InlineData("""{"keys":[{"name":"a","sha256":"@","requests_per_minute":0}]}""", "at least 1")]
    [InlineData("""{"keys":[{"name":"a","sha256":"@","limit":3}]}""", "limit")]
    public void KeyFile_Malformed_IsOneClearLine(string contents, string part)
    {
        using var file = new WrittenFile(contents);
        var mistake = Assert.Throws<ServingException>(() => KeyFile.Read(file.Path));
        Assert.Contains(part, mistake.Message, StringComparison.Ordinal);
    }

    private static async Task<TestServer> StartAsync(string keys, TimeProvider time)
    {
        using var file = new WrittenFile(keys);
        return await TestServer.StartAsync(change: options => options with { KeyFile = file.Path, CacheBytes = 0 }, time: time);
    }

    private static async Task<(int Status, string? Remaining)> AskAsync(TestServer server)
    {
        using var response = await server.SendAsync("/v1/completions", Body, ("Authorization", "Bearer right"));
        await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, response.Headers.TryGetValues("x-ratelimit-remaining-requests", out var left) ? left.Single() : null);
    }

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var response = await server.SendAsync("/admin/models/unknown/reload", "", ("Authorization", $"Bearer {key}"));
        Assert.True(response.StatusCode != HttpStatusCode.OK);
        return (int)response.StatusCode;
    }

    private sealed class WrittenFile : IDisposable
    {
        public WrittenFile(string contents) => File.WriteAllText(Path, contents.Replace("@", Hash("right"), StringComparison.Ordinal).Replace("#", Hash("left"), StringComparison.Ordinal));

        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);

        private static string Hash(string key) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
    }
}
