using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>What `/metrics` says after requests that are known.</summary>
public sealed class MetricsTests
{
    /// <summary>One scrape for all names, after an answer of four tokens.</summary>
    private static readonly Lazy<string> Aliased = new(() => Task.Run(async () =>
    {
        await using var server = await TestServer.StartAsync(change: options => options with { VllmMetrics = true });
        await server.CompleteAsync(new() { ["prompt"] = new JsonArray(5, 6, 7), ["max_tokens"] = 4, ["ignore_eos"] = true });
        return await server.Http.GetStringAsync("/metrics");
    }).GetAwaiter().GetResult());

    [Fact]
    public async Task Metrics_AfterAScriptedRun_CountIt()
    {
        await using var server = await TestServer.StartAsync(change: options => options with { CacheBytes = 0 });
        await server.CompleteAsync(new() { ["prompt"] = new JsonArray(5, 6, 7), ["max_tokens"] = 4, ["ignore_eos"] = true, ["n"] = 2 });
        await server.StreamAsync("/v1/completions", new() { ["prompt"] = new JsonArray(5, 6), ["max_tokens"] = 3, ["ignore_eos"] = true });
        await server.CompleteAsync(new() { ["temperature"] = 9 }, HttpStatusCode.BadRequest);

        var scrape = Scrape.Parse(await server.Http.GetStringAsync("/metrics"));
        Assert.Equal(5, scrape["onnxllm_prompt_tokens_total"]);
        Assert.Equal(11, scrape["onnxllm_generation_tokens_total"]);
        Assert.Equal(3, scrape["onnxllm_requests_total{finished_reason=\"length\"}"]);
        Assert.Equal(1, scrape["onnxllm_rejected_total{reason=\"invalid_value\"}"]);
        Assert.Equal(2, scrape["onnxllm_http_requests_total{route=\"/v1/completions\",method=\"POST\",status=\"200\"}"]);
        Assert.Equal(3, scrape["onnxllm_time_to_first_token_seconds_count"]);
        Assert.Equal(3, scrape["onnxllm_time_to_first_token_seconds_bucket{le=\"+Inf\"}"]);
        Assert.Equal(8, scrape["onnxllm_inter_token_latency_seconds_count"]);
        Assert.Equal(11, scrape["onnxllm_request_generation_tokens_sum"]);
        Assert.Equal(0, scrape["onnxllm_num_requests_running"]);
        Assert.Equal(0, scrape["onnxllm_num_requests_waiting"]);
        Assert.Contains(scrape.Keys, key => key.StartsWith("onnxllm_model_info{fingerprint=\"fp_000000000000\"", StringComparison.Ordinal));
    }

    /// <summary>Nobody reads such an answer to its end, but it took its time all the same.</summary>
    [Fact]
    public async Task Metrics_OfAnAnswerThatAStopSequenceEnds_HaveItsTimeAndLength()
    {
        using var steps = new SemaphoreSlim(0);
        await using var server = await TestServer.StartAsync(TestServer.Parrot("abcdefghijklmnopqrstuvwxyz"));
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        var answering = server.CompleteAsync(new() { ["prompt"] = "a", ["temperature"] = 0, ["stop"] = "d", ["max_tokens"] = 20 });
        steps.Release(3);
        Assert.Equal("bc", (string?)(await answering)["choices"]![0]!["text"]);
        steps.Release(20);
        Assert.True(SpinWait.SpinUntil(() => server.Metrics.RequestLatency.Count == 1, TestServer.Patience));
        Assert.InRange(server.Metrics.RequestGenerationTokens.Sum, 3, 5);
    }

    /// <summary>Three positions of a prompt and two of an answer, of four slots with 16 each.</summary>
    [Fact]
    public void CacheUsage_IsThePartOfPositionsThatHoldSomething()
    {
        using var steps = new SemaphoreSlim(0);
        var model = new NoiseModel(slots: 4, maxLength: 16) { BeforePass = () => steps.Wait(TestServer.Patience) };
        using var engine = new InferenceEngine(model, new(), new ServingMetrics(), TimeProvider.System, NullLogger.Instance);
        Assert.Equal(0, engine.CacheUsage);
        engine.Submit([SequenceFactory.Create([1, 2, 3], 10)]);
        steps.Release(3);
        Assert.True(SpinWait.SpinUntil(() => engine.CacheUsage == 5.0 / 64, TestServer.Patience));
        steps.Release(20);
        Assert.True(SpinWait.SpinUntil(() => engine is { CacheUsage: 0, Running: 0 }, TestServer.Patience));
    }

    [Theory]
    [InlineData("num_requests_running", "num_requests_running")]
    [InlineData("num_requests_waiting", "num_requests_waiting")]
    [InlineData("kv_cache_usage_ratio", "kv_cache_usage_perc")]
    [InlineData("prefix_cache_queries_total", "prefix_cache_queries_total")]
    [InlineData("prefix_cache_hits_total", "prefix_cache_hits_total")]
    [InlineData("num_preemptions_total", "num_preemptions_total")]
    [InlineData("prompt_tokens_total", "prompt_tokens_total")]
    [InlineData("generation_tokens_total", "generation_tokens_total")]
    [InlineData("requests_total{finished_reason=\"length\"}", "request_success_total{finished_reason=\"length\"}")]
    [InlineData("time_to_first_token_seconds_bucket{le=\"+Inf\"}", "time_to_first_token_seconds_bucket{le=\"+Inf\"}")]
    [InlineData("inter_token_latency_seconds_count", "inter_token_latency_seconds_count")]
    [InlineData("inter_token_latency_seconds_sum", "time_per_output_token_seconds_sum")]
    [InlineData("request_time_per_output_token_seconds_count", "request_time_per_output_token_seconds_count")]
    [InlineData("e2e_request_latency_seconds_count", "e2e_request_latency_seconds_count")]
    [InlineData("request_queue_time_seconds_count", "request_queue_time_seconds_count")]
    [InlineData("request_prefill_time_seconds_count", "request_prefill_time_seconds_count")]
    [InlineData("request_decode_time_seconds_count", "request_decode_time_seconds_count")]
    [InlineData("request_inference_time_seconds_count", "request_inference_time_seconds_count")]
    [InlineData("request_prompt_tokens_sum", "request_prompt_tokens_sum")]
    [InlineData("request_generation_tokens_sum", "request_generation_tokens_sum")]
    [InlineData("request_params_n_count", "request_params_n_count")]
    [InlineData("request_params_max_tokens_sum", "request_params_max_tokens_sum")]
    [InlineData("iteration_tokens_sum", "iteration_tokens_total_sum")]
    public void Metrics_WithAliases_AreThereUnderBothNames(string ours, string theirs)
    {
        var scrape = Scrape.Parse(Aliased.Value);
        Assert.Equal(scrape[$"onnxllm_{ours}"], scrape[$"vllm:{theirs}"]);
    }

    [Fact]
    public async Task Metrics_WithoutTheOption_HaveNoAliases()
    {
        await using var server = await TestServer.StartAsync();
        Assert.DoesNotContain("vllm:", await server.Http.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Contains("vllm:cache_config_info{model_name=\"org/toy\",fingerprint=", Aliased.Value, StringComparison.Ordinal);
    }
}
