namespace OnnxLlm.Serving.Metrics;

/// <summary>Every instrument of the server: names, units and bucket bounds in one place. Units are seconds and tokens.</summary>
internal sealed class ServingMetrics
{
    private static readonly double[] ShortSeconds =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560];

    private static readonly double[] TokenSeconds =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10, 20, 40, 80];

    private static readonly double[] LongSeconds =
        [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];

    private static readonly double[] TokenCounts =
        [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];

    private static readonly double[] BatchSizes = [1, 2, 4, 8, 16, 32, 64, 128, 256];

    /// <summary>They are shown from the start, so that their rates are known before the first of them happens.</summary>
    private static readonly string[] FinishedReasons = ["stop", "length", "abort", "error", "content_filter"];

    private readonly List<IInstrument> _instruments = [];

    public ServingMetrics()
    {
        PromptTokens = Counter("onnxllm_prompt_tokens_total", "Prompt tokens read.");
        GenerationTokens = Counter("onnxllm_generation_tokens_total", "Tokens generated.");
        Requests = Counter("onnxllm_requests_total", "Choices that ended, by reason.", "finished_reason");
        HttpRequests = Counter("onnxllm_http_requests_total", "HTTP requests answered.", "route", "method", "status");
        Rejected = Counter("onnxllm_rejected_total", "Requests refused before any work, by reason.", "reason");
        CacheHits = Counter("onnxllm_response_cache_hits_total", "Requests answered from the response cache.");
        CacheMisses = Counter("onnxllm_response_cache_misses_total", "Deterministic requests not found in the response cache.");
        SharedCacheHits = Counter("onnxllm_shared_cache_hits_total", "Of these, answers that another replica had given.");
        SharedCacheErrors = Counter("onnxllm_shared_cache_errors_total", "Times that the shared cache could not be used.");
        TokenizerHits = Counter("onnxllm_tokenizer_cache_hits_total", "Prompts whose tokens were known.");
        TokenizerMisses = Counter("onnxllm_tokenizer_cache_misses_total", "Prompts that were turned into tokens.");
        PrefixQueries = Counter("onnxllm_prefix_cache_queries_total", "Prompt tokens looked for in the prefix cache.");
        PrefixHits = Counter("onnxllm_prefix_cache_hits_total", "Prompt tokens found there, or in another slot, and not read again.");
        Preemptions = Counter("onnxllm_num_preemptions_total", "Sequences that lost their slot to a more urgent one.");
        Executions = Counter("onnxllm_batch_execution_total", "Forward passes.", "method");
        DraftTokens = Counter("onnxllm_spec_decode_num_draft_tokens_total", "Tokens that were guessed ahead.");
        AcceptedTokens = Counter("onnxllm_spec_decode_num_accepted_tokens_total", "Guessed tokens that the model chose as well.");
        EngineFaults = Counter("onnxllm_engine_faults_total", "Steps that failed.");
        TimeToFirstToken = Histogram("onnxllm_time_to_first_token_seconds", "From arrival to the first token.", ShortSeconds);
        InterTokenLatency = Histogram("onnxllm_inter_token_latency_seconds", "Between two tokens of a sequence.", TokenSeconds);
        TimePerOutputToken = Histogram("onnxllm_request_time_per_output_token_seconds", "Mean per sequence, without the first token.", TokenSeconds);
        RequestLatency = Histogram("onnxllm_e2e_request_latency_seconds", "From arrival to the last token.", LongSeconds);
        QueueTime = Histogram("onnxllm_request_queue_time_seconds", "From arrival to a slot.", LongSeconds);
        PrefillTime = Histogram("onnxllm_request_prefill_time_seconds", "From the slot to the first token.", LongSeconds);
        DecodeTime = Histogram("onnxllm_request_decode_time_seconds", "From the first token to the last.", LongSeconds);
        InferenceTime = Histogram("onnxllm_request_inference_time_seconds", "From the slot to the last token.", LongSeconds);
        RequestPromptTokens = Histogram("onnxllm_request_prompt_tokens", "Prompt length of a sequence.", TokenCounts);
        RequestGenerationTokens = Histogram("onnxllm_request_generation_tokens", "Answer length of a sequence.", TokenCounts);
        RequestChoices = Histogram("onnxllm_request_params_n", "Choices asked for.", BatchSizes);
        RequestMaxTokens = Histogram("onnxllm_request_params_max_tokens", "Answer length asked for or clipped to.", TokenCounts);
        IterationTokens = Histogram("onnxllm_iteration_tokens", "Tokens through the model in a step.", TokenCounts);
        BatchSize = Histogram("onnxllm_batch_size", "Sequences decoded together in a step.", BatchSizes);
        foreach (var reason in FinishedReasons) Requests.Add(0, reason);
    }

    public Counter PromptTokens { get; }

    public Counter GenerationTokens { get; }

    public Counter Requests { get; }

    public Counter HttpRequests { get; }

    public Counter Rejected { get; }

    public Counter CacheHits { get; }

    public Counter CacheMisses { get; }

    public Counter SharedCacheHits { get; }

    public Counter SharedCacheErrors { get; }

    public Counter TokenizerHits { get; }

    public Counter TokenizerMisses { get; }

    public Counter PrefixQueries { get; }

    public Counter PrefixHits { get; }

    public Counter Preemptions { get; }

    public Counter Executions { get; }

    public Counter DraftTokens { get; }

    public Counter AcceptedTokens { get; }

    public Counter EngineFaults { get; }

    public Histogram TimeToFirstToken { get; }

    public Histogram InterTokenLatency { get; }

    public Histogram TimePerOutputToken { get; }

    public Histogram RequestLatency { get; }

    public Histogram QueueTime { get; }

    public Histogram PrefillTime { get; }

    public Histogram DecodeTime { get; }

    public Histogram InferenceTime { get; }

    public Histogram RequestPromptTokens { get; }

    public Histogram RequestGenerationTokens { get; }

    public Histogram RequestChoices { get; }

    public Histogram RequestMaxTokens { get; }

    public Histogram IterationTokens { get; }

    public Histogram BatchSize { get; }

    /// <summary>Adds a value that someone else owns. Called while the server is put together.</summary>
    public void Gauge(string name, string help, Func<double> read, Func<string>? labels = null) =>
        _instruments.Add(new Gauge(name, help, read, labels));

    /// <summary>One scrape: the process, then each instrument once under each of its names, with the lines of every model.</summary>
    /// <param name="aliases">More names for an instrument, by its own.</param>
    public static string Write(IReadOnlyList<(string Model, ServingMetrics Metrics)> models, Func<string, IEnumerable<string>>? aliases = null)
    {
        var text = new PrometheusText();
        ProcessMetrics.Write(text);
        for (var i = 0; i < models[0].Metrics._instruments.Count; i++)
        {
            var name = models[0].Metrics._instruments[i].Name;
            foreach (var shown in aliases?.Invoke(name).Prepend(name) ?? [name]) Write(text, shown, [.. models.Select(entry => (entry.Model, entry.Metrics._instruments[i]))]);
        }

        return text.ToString();
    }

    private static void Write(PrometheusText text, string shown, IReadOnlyList<(string Model, IInstrument Instrument)> instruments)
    {
        instruments[0].Instrument.Head(text, shown);
        foreach (var (model, instrument) in instruments)
        {
            text.Of(model);
            instrument.Write(text, shown);
        }
    }

    private Counter Counter(string name, string help, params string[] labels) => Add(new Counter(name, help, labels));

    private Histogram Histogram(string name, string help, double[] bounds) => Add(new Histogram(name, help, bounds));

    private T Add<T>(T instrument) where T : IInstrument
    {
        _instruments.Add(instrument);
        return instrument;
    }
}
