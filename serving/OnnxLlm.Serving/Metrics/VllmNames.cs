namespace OnnxLlm.Serving.Metrics;

/// <summary>What vLLM calls the same numbers, for dashboards that were made for it.</summary>
internal static class VllmNames
{
    /// <summary>The one word that the server's option takes.</summary>
    public const string Option = "vllm";

    private static readonly ILookup<string, string> Names = new (string Ours, string Theirs)[]
    {
        ("num_requests_running", "num_requests_running"),
        ("num_requests_waiting", "num_requests_waiting"),
        ("kv_cache_usage_ratio", "kv_cache_usage_perc"),
        ("prefix_cache_queries_total", "prefix_cache_queries_total"),
        ("prefix_cache_hits_total", "prefix_cache_hits_total"),
        ("num_preemptions_total", "num_preemptions_total"),
        ("prompt_tokens_total", "prompt_tokens_total"),
        ("generation_tokens_total", "generation_tokens_total"),
        ("requests_total", "request_success_total"),
        ("time_to_first_token_seconds", "time_to_first_token_seconds"),
        ("inter_token_latency_seconds", "inter_token_latency_seconds"),
        ("inter_token_latency_seconds", "time_per_output_token_seconds"),       // before it was renamed
        ("request_time_per_output_token_seconds", "request_time_per_output_token_seconds"),
        ("e2e_request_latency_seconds", "e2e_request_latency_seconds"),
        ("request_queue_time_seconds", "request_queue_time_seconds"),
        ("request_prefill_time_seconds", "request_prefill_time_seconds"),
        ("request_decode_time_seconds", "request_decode_time_seconds"),
        ("request_inference_time_seconds", "request_inference_time_seconds"),
        ("request_prompt_tokens", "request_prompt_tokens"),
        ("request_generation_tokens", "request_generation_tokens"),
        ("request_params_n", "request_params_n"),
        ("request_params_max_tokens", "request_params_max_tokens"),
        ("iteration_tokens", "iteration_tokens_total"),
        ("model_info", "cache_config_info"),
    }.ToLookup(pair => $"onnxllm_{pair.Ours}", pair => $"vllm:{pair.Theirs}", StringComparer.Ordinal);

    /// <summary>None where vLLM has no such number.</summary>
    public static IEnumerable<string> Of(string name) => Names[name];
}
