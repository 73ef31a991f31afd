using System.Net;
using System.Text;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Two replicas behind a load balancer, with the configuration of <c>deploy</c>.</summary>
public sealed class BalancerTests
{
    [Needs("nginx")]
    public Task Replica_ThatDrainsBehindNginx_LosesNoRequest() => DrainAsync(Balancer.Nginx);

    [Needs("haproxy")]
    public Task Replica_ThatDrainsBehindHaproxy_LosesNoRequest() => DrainAsync(Balancer.Haproxy);

    private static async Task DrainAsync(Func<Uri, Uri, Balancer> start)
    {
        using var package = new ServedPackage(maxPositions: 512);
        using var first = Start(package);
        using var second = Start(package);
        using var balancer = start(first.Address(), second.Address());
        first.IgnoreLog();
        second.IgnoreLog();
        await balancer.ReadyAsync();

        using var leave = new CancellationTokenSource();
        var answered = 0;
        var clients = Enumerable.Range(0, 8).Select(client => Task.Run(async () =>
        {
            while (!leave.IsCancellationRequested)
            {
                await AskAsync(balancer.Http, stream: client % 2 == 0);
                Interlocked.Increment(ref answered);
            }
        })).ToArray();
        await UntilAsync(clients, () => Volatile.Read(ref answered) >= 20);
        first.Terminate();
        Assert.Equal(0, await Task.Run(first.ExitCode));
        var before = Volatile.Read(ref answered);
        await UntilAsync(clients, () => Volatile.Read(ref answered) >= before + 20);
        await leave.CancelAsync();
        await Task.WhenAll(clients);
    }

    /// <summary>What had begun to be streamed by the killed replica breaks off; nothing else is lost.</summary>
    [Needs("nginx")]
    public async Task Replica_ThatIsKilled_LosesOnlyItsStreams()
    {
        using var package = new ServedPackage(maxPositions: 512);
        using var first = Start(package);
        using var second = Start(package);
        using var balancer = Balancer.Nginx(first.Address(), second.Address());
        first.IgnoreLog();
        second.IgnoreLog();
        await balancer.ReadyAsync();

        using var leave = new CancellationTokenSource();
        int answered = 0, broken = 0;
        var clients = Enumerable.Range(0, 8).Select(client => Task.Run(async () =>
        {
            while (!leave.IsCancellationRequested)
            {
                if (await IsWholeAsync(balancer.Http, stream: client % 2 == 0)) Interlocked.Increment(ref answered);
                else Interlocked.Increment(ref broken);
            }
        })).ToArray();
        await UntilAsync(clients, () => Volatile.Read(ref answered) >= 20);
        Assert.Equal(0, broken);
        first.Process.Kill();
        await UntilAsync(clients, () => Volatile.Read(ref answered) >= 60);
        await leave.CancelAsync();
        await Task.WhenAll(clients);
        Assert.InRange(broken, 0, clients.Length / 2);          // every second client streams, and has one stream at a time
    }

    [Needs("nginx")]
    public async Task Stream_ThroughTheBalancer_ArrivesWhileItIsWritten()
    {
        using var package = new ServedPackage(maxPositions: 8192);
        using var server = Start(package);
        var address = server.Address();
        server.IgnoreLog();
        using var balancer = Balancer.Nginx(address, address);
        await balancer.ReadyAsync();
        using var response = await balancer.Http.SendAsync(Request(stream: true, tokens: 8000), HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: {", await lines.ReadLineAsync(), StringComparison.Ordinal);
        using var direct = new HttpClient { BaseAddress = address };
        var metrics = await direct.GetStringAsync("/metrics");
        Assert.Contains("onnxllm_num_requests_running{model_name=\"package\"} 1", metrics, StringComparison.Ordinal);
    }

    [Needs("nginx")]
    public Task Metrics_AreNotThere_ThroughNginx() => HideAsync(Balancer.Nginx);

    [Needs("haproxy")]
    public Task Metrics_AreNotThere_ThroughHaproxy() => HideAsync(Balancer.Haproxy);

    /// <summary>The replica shows its metrics to all, and takes each of these ways to them.</summary>
    private static async Task HideAsync(Func<Uri, Uri, Balancer> start)
    {
        using var package = new ServedPackage();
        using var server = new ServerProcess("--model", package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--api-key", "right", "--open-metrics");
        using var direct = new HttpClient { BaseAddress = server.Address() };
        server.IgnoreLog();
        using var balancer = start(direct.BaseAddress, direct.BaseAddress);
        await balancer.ReadyAsync();
        foreach (var way in new[] { "/metrics", "/metrics?x=1", "/Metrics/", "/m%65trics", "/v1/../metrics", "/./metrics" })
        {
            Assert.Equal((way, HttpStatusCode.OK), (way, await StatusAsync(direct, way)));
            Assert.Equal((way, HttpStatusCode.NotFound), (way, await StatusAsync(balancer.Http, way)));
        }

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(balancer.Http, "/v1/models"));
    }

    /// <summary>Of a path that is sent as it is written.</summary>
    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, string path)
    {
        using var response = await http.GetAsync(new Uri(http.BaseAddress!.GetLeftPart(UriPartial.Authority) + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        return response.StatusCode;
    }

    private static ServerProcess Start(ServedPackage package) => new("--model", package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--cache-mb", "0");

    private static async Task AskAsync(HttpClient http, bool stream)
    {
        using var response = await http.SendAsync(Request(stream, tokens: 100), HttpCompletionOption.ResponseHeadersRead);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {text}");
        if (stream) Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        else Assert.Contains("\"completion_tokens\":100", text, StringComparison.Ordinal);
    }

    /// <summary>False for a stream that broke off. Whatever else goes wrong is thrown.</summary>
    private static async Task<bool> IsWholeAsync(HttpClient http, bool stream)
    {
        try
        {
            await AskAsync(http, stream);
            return true;
        }
        catch (Exception lost) when (stream && lost is HttpRequestException or IOException or Xunit.Sdk.EndsWithException)
        {
            return false;
        }
    }

    private static async Task UntilAsync(Task[] clients, Func<bool> there)
    {
        while (!there() && !clients.Any(client => client.IsFaulted)) await Task.Delay(TimeSpan.FromMilliseconds(10));
        if (clients.FirstOrDefault(client => client.IsFaulted) is { } broken) await broken;
    }

    private static HttpRequestMessage Request(bool stream, int tokens) => new(HttpMethod.Post, "/v1/completions")
    {
        Content = new StringContent($$"""{"model":"package","prompt":"Once","max_tokens":{{tokens}},"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""", Encoding.UTF8, "application/json"),
    };
}
