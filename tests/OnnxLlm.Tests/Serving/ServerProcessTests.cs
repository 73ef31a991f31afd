using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using OnnxLlm.Serving;

namespace OnnxLlm.Tests.Serving;

/// <summary>The server as a process of its own: signals, exit codes, log lines.</summary>
public sealed class ServerProcessTests : IDisposable
{
    private readonly ServedPackage _package = new(maxPositions: 8192);

    public void Dispose() => _package.Dispose();

    [Fact]
    public async Task Terminated_ItFinishesTheStreamAndExitsWithZero()
    {
        if (OperatingSystem.IsWindows()) return;      // no SIGTERM
        using var server = new ServerProcess("--model", _package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1");
        using var http = new HttpClient { BaseAddress = server.Address(), Timeout = ServerProcess.Patience };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"model":"package","prompt":"sesame","max_tokens":2000,"ignore_eos":true,"stream":true}""", System.Text.Encoding.UTF8, "application/json"),
        };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var stream = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await stream.ReadLineAsync(), StringComparison.Ordinal);

        server.Terminate();
        Assert.EndsWith("data: [DONE]\n\n", await stream.ReadToEndAsync(), StringComparison.Ordinal);
        var log = await server.Process.StandardOutput.ReadToEndAsync();
        Assert.Equal(0, server.ExitCode());
        Assert.All(log.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.NotNull(JsonNode.Parse(line)!["Message"]));
        Assert.Contains("Draining", log, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", log, StringComparison.Ordinal);
    }

    /// <summary>The server has answered itself before; but for the pass that shows that the model works, nothing has been counted.</summary>
    [Fact]
    public async Task Metrics_OfAServerThatHasJustStarted_KnowNothingOfItsWarmUp()
    {
        using var server = new ServerProcess("--model", _package.Folder, "--name", TestServer.ModelId, "--urls", "http://127.0.0.1:0", "--threads", "1");
        using var http = new HttpClient { BaseAddress = server.Address(), Timeout = ServerProcess.Patience };
        var metrics = Scrape.Parse(await http.GetStringAsync("/metrics"));
        Assert.Equal(1, metrics["onnxllm_batch_execution_total{method=\"prefill\"}"]);
        Assert.Equal(1, metrics["onnxllm_iteration_tokens_count"]);
        Assert.DoesNotContain(metrics.Keys, key => key.StartsWith("onnxllm_http_requests_total", StringComparison.Ordinal));
        string[] counted = ["prompt_tokens_total", "generation_tokens_total", "response_cache_misses_total", "time_to_first_token_seconds_count", "e2e_request_latency_seconds_count", "request_prompt_tokens_count", "request_params_n_count", "batch_size_count"];
        Assert.All(counted, name => Assert.Equal(0, metrics[$"onnxllm_{name}"]));
        Assert.All(metrics.Where(pair => pair.Key.StartsWith("onnxllm_requests_total", StringComparison.Ordinal)), pair => Assert.Equal(0, pair.Value));
    }

    [Fact]
    public async Task WarmUp_OfAModelWithoutATemplate_IsAnswered()
    {
        using var model = TestServer.Noise();
        Assert.True(await WarmUp.RunAsync(TestServer.Describe("base", model, template: null)));
        Assert.Equal(0, model.PrefillPasses);
    }

    [Theory]
    [InlineData("--model", "no/such/folder")]
    [InlineData("--model", "x", "--slots", "none")]
    [InlineData("--model", "x", "--device", "gpu")]
    [InlineData("--model", "x", "--device", "cuda:99")]
    public async Task Mistakes_AreOneLineAndExitCodeTwo(params string[] arguments)
    {
        using var server = new ServerProcess(arguments);
        var error = await server.Process.StandardError.ReadToEndAsync();
        Assert.Equal(2, server.ExitCode());
        Assert.Equal(1, error.Count(c => c == '\n'));
    }

    [Theory]
    [InlineData("ONNXLLM_REDIS", "localhost", "ONNXLLM_REDIS must be an address that begins with redis://, not 'localhost'. See --help.\n")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT must be an address that begins with http://, not 'collector:4318'. See --help.\n")]
    public async Task Address_InTheEnvironmentThatIsNone_IsOneLineAndExitCodeTwo(string variable, string value, string told)
    {
        var start = ServerProcess.Info("--model", _package.Folder);
        start.Environment[variable] = value;
        using var server = Process.Start(start)!;
        Assert.Equal(told, await server.StandardError.ReadToEndAsync());
        Assert.True(server.WaitForExit(ServerProcess.Patience));
        Assert.Equal(2, server.ExitCode);
    }

    [Fact]
    public async Task PortInUse_IsOneLineInAllAndExitCodeTwo()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using var server = new ServerProcess("--model", _package.Folder, "--urls", $"http://{taken.LocalEndpoint}", "--threads", "1");
        var log = server.Process.StandardOutput.ReadToEndAsync();
        var error = await server.Process.StandardError.ReadToEndAsync();
        Assert.Equal(2, server.ExitCode());
        Assert.Equal(1, error.Count(c => c == '\n'));
        Assert.Contains("address already in use", error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", await log, StringComparison.Ordinal);
    }
}
