using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>A real Prometheus scrapes the server; its queries, those of the dashboard and of the alerts, find what they look for.</summary>
public sealed partial class PrometheusTests
{
    /// <summary>The names that dashboards of others rely on.</summary>
    private static readonly string[] Promised =
    [
        "onnxllm_num_requests_running", "onnxllm_num_requests_waiting", "onnxllm_kv_cache_usage_ratio", "onnxllm_prefix_cache_queries_total", "onnxllm_prefix_cache_hits_total",
        "onnxllm_num_preemptions_total", "onnxllm_prompt_tokens_total", "onnxllm_generation_tokens_total", "onnxllm_requests_total", "onnxllm_http_requests_total",
        "onnxllm_time_to_first_token_seconds_bucket", "onnxllm_inter_token_latency_seconds_bucket", "onnxllm_request_time_per_output_token_seconds_bucket",
        "onnxllm_e2e_request_latency_seconds_bucket", "onnxllm_request_queue_time_seconds_bucket", "onnxllm_request_prefill_time_seconds_bucket",
        "onnxllm_request_decode_time_seconds_bucket", "onnxllm_request_inference_time_seconds_bucket", "onnxllm_request_prompt_tokens_bucket",
        "onnxllm_request_generation_tokens_bucket", "onnxllm_request_params_n_bucket", "onnxllm_request_params_max_tokens_bucket", "onnxllm_iteration_tokens_bucket",
        "onnxllm_batch_size_bucket", "onnxllm_batch_execution_total", "onnxllm_response_cache_hits_total", "onnxllm_response_cache_misses_total", "onnxllm_model_info",
    ];

    [Needs("prometheus")]
    public async Task Prometheus_ScrapesEveryPromisedMetric_WithTheRightValues()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { ApiKeys = ["right"] });
        server.Http.DefaultRequestHeaders.Add("Authorization", "Bearer right");
        await server.CompleteAsync(new() { ["max_tokens"] = 7, ["ignore_eos"] = true, ["prompt"] = new JsonArray(5, 6, 7) });
        using var prometheus = new Prometheus(server);
        await prometheus.UntilAsync("onnxllm_generation_tokens_total", value => value == 7);

        foreach (var name in Promised) Assert.True((await prometheus.AskAsync(name)).AsArray().Count > 0, $"{name} was not scraped.");
        Assert.Equal(3, Value(await prometheus.AskAsync("onnxllm_prompt_tokens_total")));
        Assert.Equal(6, Value(await prometheus.AskAsync("onnxllm_inter_token_latency_seconds_count")));
        Assert.Equal(1, Value(await prometheus.AskAsync("sum(onnxllm_requests_total{finished_reason=\"length\"})")));
        Assert.Equal(1, Value(await prometheus.AskAsync("up")));
    }

    [Needs("prometheus")]
    public async Task Dashboard_AndAlerts_AskForMetricsThatAreThere()
    {
        await using var server = await TestServer.StartAsync();
        await server.CompleteAsync(new() { ["max_tokens"] = 3, ["ignore_eos"] = true, ["temperature"] = 0 });
        using var prometheus = new Prometheus(server);
        await prometheus.UntilAsync("onnxllm_generation_tokens_total", value => value == 3);
        // Known only once they happen; a query for them is right and finds nothing before.
        string[] later = ["onnxllm_rejected_total"];
        foreach (var query in Queries())
        {
            await prometheus.AskAsync(query);
            foreach (var name in Name().Matches(query).Select(match => match.Value).Except(later))
                Assert.True((await prometheus.AskAsync(name)).AsArray().Count > 0, $"{name}, in {query}, is not exported.");
        }
    }

    [Needs("promtool")]
    public Task Alerts_FireWhenTheyShould() => CheckAsync("test", "rules", Repository.PathOf("deploy", "prometheus", "alerts.test.yml"));

    [Needs("promtool")]
    public Task Configuration_AndTheAlertsThatItNames_AreValid() => CheckAsync("check", "config", Repository.PathOf("deploy", "prometheus", "prometheus.yml"));

    private static async Task CheckAsync(params string[] arguments)
    {
        var (code, output) = await InstalledProgram.RunAsync("promtool", arguments);
        Assert.True(code == 0, output);
    }

    /// <summary>Of the dashboard's panels and of the alerts, with the dashboard's variables filled in.</summary>
    private static IEnumerable<string> Queries()
    {
        var dashboard = JsonNode.Parse(File.ReadAllText(Repository.PathOf("deploy", "grafana", "dashboard.json")))!;
        var panels = dashboard["panels"]!.AsArray().SelectMany(panel => panel!["targets"]!.AsArray()).Select(target => (string)target!["expr"]!);
        var alerts = Expression().Matches(File.ReadAllText(Repository.PathOf("deploy", "prometheus", "alerts.yml"))).Select(match => match.Groups[1].Value.TrimStart('|'));
        return panels.Concat(alerts).Select(query => query.Replace("$__rate_interval", "1m", StringComparison.Ordinal).Replace("$instance", ".*", StringComparison.Ordinal).Replace("$model", ".*", StringComparison.Ordinal));
    }

    private static double Value(JsonNode result) => double.Parse((string)Assert.Single(result.AsArray())!["value"]![1]!, System.Globalization.CultureInfo.InvariantCulture);

    [GeneratedRegex("onnxllm_[a-z0-9_]+")]
    private static partial Regex Name();

    [GeneratedRegex(@"expr: (\|(?:\n {10}.+)+|.+)")]
    private static partial Regex Expression();

    private sealed class Prometheus : IDisposable
    {
        private readonly BackgroundProgram _program;
        private readonly HttpClient _http;

        public Prometheus(TestServer server)
        {
            var port = FreePort.Find();
            _http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            _program = new BackgroundProgram("prometheus", folder => [$"--config.file={Configure(folder, server)}", $"--storage.tsdb.path={folder}/data", $"--web.listen-address=127.0.0.1:{port}"]);
        }

        public async Task<JsonNode> AskAsync(string query)
        {
            using var response = await _http.GetAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}");
            if (response.StatusCode == System.Net.HttpStatusCode.ServiceUnavailable) response.EnsureSuccessStatusCode();       // it is starting
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
            Assert.True((string?)answer["status"] == "success", $"{query}: {answer.ToJsonString()}");
            return answer["data"]!["result"]!;
        }

        public Task UntilAsync(string query, Func<double, bool> condition) => _program.UntilAsync(async () => (await AskAsync(query)).AsArray() is [{ }] result && condition(Value(result)));

        public void Dispose()
        {
            _http.Dispose();
            _program.Dispose();
        }

        private static string Configure(string folder, TestServer server)
        {
            var path = Path.Combine(folder, "prometheus.yml");
            File.WriteAllText(path, $$"""
                global: { scrape_interval: 1s }
                scrape_configs:
                  - job_name: onnxllm
                    authorization: { credentials: right }
                    static_configs: [{ targets: ["{{server.Address.Authority}}"] }]
                """);
            return path;
        }
    }
}
