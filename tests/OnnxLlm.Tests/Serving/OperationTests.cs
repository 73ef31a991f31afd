using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using OnnxLlm.Serving.Api;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Health, drain, overload and disconnects.</summary>
public sealed class OperationTests
{
    [Fact]
    public async Task Host_WatchesNoFiles()
    {
        await using var server = await TestServer.StartAsync();
        var files = ((IConfigurationRoot)server.Service<IConfiguration>()).Providers.OfType<FileConfigurationProvider>();
        Assert.DoesNotContain(files, file => file.Source.ReloadOnChange);
    }

    [Fact]
    public async Task Ready_AfterAFault_Is503UntilAPassSucceeds()
    {
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(time: time);
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health/ready"));

        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        await server.CompleteAsync([], HttpStatusCode.InternalServerError);
        Assert.Equal((503, "failed"), await HealthAsync(server, "/health/ready"));
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health/live"));

        server.Model.BeforePass = null;
        Assert.Equal((503, "failed"), await HealthAsync(server, "/ping"));
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health"));
    }

    /// <summary>A pass that gives no numbers does not fail; only its answers do.</summary>
    [Fact]
    public async Task Ready_WhileEveryAnswerFails_Is503()
    {
        var model = new FadingModel();
        await using var server = await TestServer.StartAsync(model);
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health/ready"));
        model.Scores = float.NaN;
        await server.CompleteAsync([], HttpStatusCode.InternalServerError);
        Assert.Equal((503, "failed"), await HealthAsync(server, "/health/ready"));
        model.Scores = 0;
        await server.CompleteAsync([]);
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health/ready"));
    }

    /// <summary>The engine's thread serves many requests; what it writes about one is found by its id, as all else is.</summary>
    [Fact]
    public async Task FaultOfTheEngine_IsInTheLog_UnderTheIdOfTheRequest()
    {
        await using var server = await TestServer.StartAsync();
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        using var response = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"x"}""", ("x-request-id", "sesame-17"));
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains(server.Log, line => line.Contains("A step of the engine failed with this request in it: injected", StringComparison.Ordinal) && line.Contains("RequestId=sesame-17", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Live_AfterFaultsWithoutEnd_Is503AndWorkIsRefusedForGood()
    {
        await using var server = await TestServer.StartAsync();
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        for (var i = 0; i < 3; i++) await server.CompleteAsync([], HttpStatusCode.InternalServerError);
        Assert.True(SpinWait.SpinUntil(() => !server.Engine.Health.IsAlive, TestServer.Patience));
        Assert.Equal((503, "failed"), await HealthAsync(server, "/health/live"));
        using var refused = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"x"}""");
        Assert.Equal(("false", HttpStatusCode.ServiceUnavailable), (Assert.Single(refused.Headers.GetValues("x-should-retry")), refused.StatusCode));
    }

    [Fact]
    public async Task Health_WithoutTheKey_HidesDetails()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        Assert.Equal("""{"status":"ok"}""", await server.Http.GetStringAsync("/health"));
        server.Http.DefaultRequestHeaders.Add("api-key", "right");
        Assert.Contains("fp_000000000000", await server.Http.GetStringAsync("/health"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drain_LetsAStreamFinish_RefusesNewWork_AndStopsTheHost()
    {
        using var steps = new SemaphoreSlim(0);
        await using var server = await TestServer.StartAsync(TestServer.Parrot("Once upon a time there was a small server."));
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        using var running = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"Once upon","temperature":0,"max_tokens":99,"stream":true}""");

        var ending = server.Service<DrainingLifetime>().EndAsync();
        using var refused = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"x"}""");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Contains("\"draining\"", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal((200, "ok"), await HealthAsync(server, "/health/live"));
        Assert.False(ending.IsCompleted);

        steps.Release(1000);
        Assert.EndsWith("data: [DONE]\n\n", await running.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await ending.WaitAsync(TestServer.Patience);
    }

    [Fact]
    public async Task Drain_BeyondItsLimit_StopsTheHostAllTheSame()
    {
        using var steps = new SemaphoreSlim(0);
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(time: time);
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        using var running = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"x","stream":true}""");

        var stopping = server.Service<IHostApplicationLifetime>().ApplicationStopping;
        var ending = server.Service<DrainingLifetime>().EndAsync();
        Assert.False(stopping.IsCancellationRequested);
        time.Advance(TimeSpan.FromSeconds(31));
        await ending.WaitAsync(TestServer.Patience);
        Assert.True(stopping.IsCancellationRequested);
        steps.Release(1000);
    }

    [Theory]
    [InlineData("/v1/completions", "\"prompt\":\"x\",\"max_tokens\":2", "data: [DONE]\n\n")]
    [InlineData("/v1/responses", "\"input\":\"x\",\"max_output_tokens\":2", "\"total_tokens\":")]
    public async Task Stream_WithoutATokenForLong_ShowsSignsOfLife(string route, string asked, string last)
    {
        using var steps = new SemaphoreSlim(0);
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(time: time);
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        using var response = await server.SendAsync(route, $$"""{"model":"org/toy",{{asked}},"ignore_eos":true,"stream":true}""");
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        string? line;
        do
        {
            var next = lines.ReadLineAsync();
            Assert.True(SpinWait.SpinUntil(() => { time.Advance(TimeSpan.FromSeconds(10)); return next.IsCompleted; }, TestServer.Patience));
            line = await next;
        }
        while (line!.Length == 0 || line.StartsWith("event: ", StringComparison.Ordinal) || line.StartsWith("data: ", StringComparison.Ordinal));      // the beginning of a response
        Assert.Equal(": keep-alive", line);
        steps.Release(1000);
        Assert.Contains(last, await lines.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Answer_BeyondTheTimeLimit_IsGivenUpAndItsSlotIsFree(bool stream)
    {
        using var steps = new SemaphoreSlim(0);
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(change: options => options with { RequestTimeout = TimeSpan.FromSeconds(60) }, time: time);
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        var answering = server.SendAsync("/v1/completions", $$"""{"model":"org/toy","prompt":"x","max_tokens":200,"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""");
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 1, TestServer.Patience));
        time.Advance(TimeSpan.FromSeconds(61));
        using var response = await answering;
        Assert.Equal(stream ? HttpStatusCode.OK : HttpStatusCode.GatewayTimeout, response.StatusCode);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        var told = await lines.ReadLineAsync();
        while (told!.StartsWith(':') || told.Length == 0) told = await lines.ReadLineAsync();
        Assert.Contains("\"request_timeout\"", told, StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => server.Metrics.Requests.Value("abort") == 1, TestServer.Patience));
        steps.Release(1000);
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
        Assert.InRange(server.Metrics.GenerationTokens.Value(), 0, 1);
    }

    [Fact]
    public async Task Queue_Full_Is429WithRetryAfter()
    {
        using var steps = new SemaphoreSlim(0);
        await using var server = await TestServer.StartAsync(TestServer.Noise(slots: 1), options => options with { Engine = options.Engine with { QueueLimit = 2 } });
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        var running = server.CompleteAsync(new() { ["max_tokens"] = 1 });
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 1, TestServer.Patience));
        var waiting = server.CompleteAsync(new() { ["max_tokens"] = 1, ["n"] = 2 });
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Waiting == 2, TestServer.Patience));

        using var refused = await server.SendAsync("/v1/completions", """{"model":"org/toy","prompt":"x","max_tokens":1}""");
        Assert.Equal((HttpStatusCode.TooManyRequests, "1"), (refused.StatusCode, refused.Headers.RetryAfter!.ToString()));
        Assert.Equal("queue_full", (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["code"]);
        steps.Release(1000);
        await Task.WhenAll(running, waiting);
        Assert.Equal(1, server.Metrics.Rejected.Value("queue_full"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Client_GoingAway_FreesTheSlot(bool stream)
    {
        await using var server = await TestServer.StartAsync(TestServer.Noise(maxLength: 100_000));
        using (var socket = new TcpClient())
        {
            await socket.ConnectAsync(IPAddress.Loopback, server.Address.Port);
            var body = $$"""{"model":"org/toy","prompt":"x","max_tokens":90000,"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""";
            await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
            Assert.True(SpinWait.SpinUntil(() => server.Metrics.GenerationTokens.Value() >= 3, TestServer.Patience));
            Assert.Equal(1, server.Engine.Running);
        }

        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0 && server.Metrics.Requests.Value("abort") == 1, TestServer.Patience));
        Assert.Equal(0, server.Metrics.Requests.Value("length"));
    }

    private static async Task<(int Status, string Word)> HealthAsync(TestServer server, string path)
    {
        using var response = await server.Http.GetAsync(path);
        return ((int)response.StatusCode, (string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["status"]!);
    }

    private sealed class FadingModel() : ToyModel(4, 256, TestServer.Tokenizer.VocabularySize)
    {
        /// <summary>Of all tokens.</summary>
        public float Scores { get; set; }

        protected override void Score(ReadOnlySpan<int> history, Span<float> logits) => logits.Fill(Scores);
    }
}
