using System.Text;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>Two replicas behind nginx, with the configuration of <c>deploy/nginx</c>.</summary>
public sealed class BalancerTests
{
    [Needs("nginx")]
    public async Task Replica_ThatDrains_LosesNoRequest()
    {
        using var package = new ServedPackage(maxPositions: 512);
        using var first = Start(package);
        using var second = Start(package);
        using var balancer = new Balancer(first.Address(), second.Address());
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
        await GrowAsync(20);
        first.Terminate();
        Assert.Equal(0, await Task.Run(first.ExitCode));
        await GrowAsync(20);
        await leave.CancelAsync();
        await Task.WhenAll(clients);

        async Task GrowAsync(int requests)
        {
            var goal = Volatile.Read(ref answered) + requests;
            while (Volatile.Read(ref answered) < goal && !clients.Any(client => client.IsFaulted)) await Task.Delay(TimeSpan.FromMilliseconds(10));
            if (clients.FirstOrDefault(client => client.IsFaulted) is { } broken) await broken;
        }
    }

    [Needs("nginx")]
    public async Task Stream_ThroughTheBalancer_ArrivesWhileItIsWritten()
    {
        using var package = new ServedPackage(maxPositions: 8192);
        using var server = Start(package);
        var address = server.Address();
        server.IgnoreLog();
        using var balancer = new Balancer(address, address);
        await balancer.ReadyAsync();
        using var response = await balancer.Http.SendAsync(Request(stream: true, tokens: 8000), HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: {", await lines.ReadLineAsync(), StringComparison.Ordinal);
        using var direct = new HttpClient { BaseAddress = address };
        var metrics = await direct.GetStringAsync("/metrics");
        Assert.Contains("onnxllm_num_requests_running{model_name=\"package\"} 1", metrics, StringComparison.Ordinal);
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

    private static HttpRequestMessage Request(bool stream, int tokens) => new(HttpMethod.Post, "/v1/completions")
    {
        Content = new StringContent($$"""{"model":"package","prompt":"Once","max_tokens":{{tokens}},"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""", Encoding.UTF8, "application/json"),
    };

    private sealed class Balancer : IDisposable
    {
        private readonly BackgroundProgram _nginx;

        public Balancer(Uri first, Uri second)
        {
            var port = FreePort.Find();
            _nginx = new BackgroundProgram("nginx", folder => ["-p", folder, "-c", Configure(folder, port, first, second), "-g", "daemon off;"]);
            Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = ServerProcess.Patience };
        }

        public HttpClient Http { get; }

        public Task ReadyAsync() => _nginx.UntilAsync(async () => (await Http.GetAsync("/health/ready")).IsSuccessStatusCode);

        public void Dispose()
        {
            Http.Dispose();
            _nginx.Dispose();
        }

        /// <summary>The file of the repository with this test's addresses and folder.</summary>
        private static string Configure(string folder, int port, Uri first, Uri second)
        {
            var text = File.ReadAllText(Repository.PathOf("deploy", "nginx", "nginx.conf"));
            foreach (var (there, here) in new[] { ("server-a:8080", first.Authority), ("server-b:8080", second.Authority), ("listen 8000", $"listen 127.0.0.1:{port}"), ("/tmp/", $"{folder}/"), ("worker_processes auto", "worker_processes 1") })
            {
                Assert.Contains(there, text, StringComparison.Ordinal);
                text = text.Replace(there, here, StringComparison.Ordinal);
            }

            var path = Path.Combine(folder, "nginx.conf");
            File.WriteAllText(path, text);
            return path;
        }
    }
}
