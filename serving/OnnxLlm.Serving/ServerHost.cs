using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Metrics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Playground;
using OnnxLlm.Serving.Safety;
using OnnxLlm.Serving.Tracing;

namespace OnnxLlm.Serving;

/// <summary>Puts the server together around its models, which it owns from then on.</summary>
internal static class ServerHost
{
    /// <param name="time">The clock, and <paramref name="entropy"/> the chance, that everything in the server uses.</param>
    /// <param name="guardrails">Look at prompts and answers beside those of the content filter.</param>
    /// <param name="logging">Takes the place of JSON lines on standard output.</param>
    public static WebApplication Build(
        ServerOptions options, IReadOnlyList<ModelSource> models, TimeProvider? time = null, Entropy? entropy = null, Action<ILoggingBuilder>? logging = null,
        IReadOnlyList<IGuardrail>? guardrails = null)
    {
        // Nothing is configured by files. The host would watch the whole working directory for them all the same, and wake up whenever anybody writes there.
        string[] host = ["--hostBuilder:reloadConfigOnChange=false"];
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = typeof(ServerHost).Assembly.GetName().Name, Args = host });
        builder.Logging.ClearProviders();
        (logging ?? LogJson)(builder.Logging);
        // Nothing here blocks, so what the sockets wake may run where it is woken.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.Limits.BodyBytes;
            kestrel.Limits.MaxConcurrentConnections = options.Limits.Connections;
            kestrel.Limits.RequestHeadersTimeout = options.Limits.HeadPatience;
            kestrel.Limits.MinRequestBodyDataRate = kestrel.Limits.MinResponseDataRate = new MinDataRate(options.Limits.SlowestClient, options.Limits.BodyPatience);
        });

        builder.Services.AddSingleton(options).AddSingleton(models).AddSingleton(Guardrails.Create(guardrails ?? [], options.ContentFilter));
        builder.Services.AddSingleton(time ?? TimeProvider.System).AddSingleton(entropy ?? Entropy.System);
        AddParts(builder.Services);
        if (options.SharedCache is { } redis) builder.Services.AddSingleton(parts => new SharedCache(redis, parts.GetRequiredService<TimeProvider>(), parts.GetRequiredService<ILogger<SharedCache>>()));
        var app = builder.Build();
        foreach (var url in options.Urls) app.Urls.Add(url);
        var registry = app.Services.GetRequiredService<ModelRegistry>();
        registry.LoadAll();
        foreach (var entry in registry.Entries) Measure(entry);
        AddPipeline(app);
        return app;
    }

    private static void AddParts(IServiceCollection services)
    {
        services.AddSingleton(CreateKeys).AddSingleton<ModerationEndpoint>().AddSingleton<Drain>().AddSingleton<ModelRegistry>();
        services.AddSingleton(s => s.GetRequiredService<ModelRegistry>().Default.Metrics).AddHostedService<ModelWatch>().AddHostedService<TraceExport>();
        services.AddSingleton<GenerationEndpoint>().AddSingleton<ResponsesEndpoint>().AddSingleton<ModelEndpoints>().AddSingleton<HealthEndpoints>().AddSingleton<AdminEndpoints>();
        services.AddSingleton<JsonBody>().AddSingleton<GenerationReader>().AddSingleton<AnswerRoute>().AddSingleton<TokenizerEndpoints>().AddSingleton<InferenceProtocolEndpoints>().AddSingleton<GenerateEndpoint>().AddSingleton<EmbeddingsEndpoint>().AddSingleton<EncoderRoute>().AddSingleton<FillMaskEndpoint>().AddSingleton<ClassifyEndpoint>().AddSingleton<Seq2SeqEndpoint>().AddSingleton<InferEndpoint>();
        services.AddSingleton<PlaygroundEndpoints>().AddSingleton<DrainingLifetime>().AddSingleton<IHostLifetime>(s => s.GetRequiredService<DrainingLifetime>());
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
    }

    private static ApiKeys CreateKeys(IServiceProvider parts)
    {
        var options = parts.GetRequiredService<ServerOptions>();
        var admins = options.AdminKeys.Select(key => ApiKey.Plain(key) with { IsAdmin = true });
        var filed = options.KeyFile is { } path ? KeyFile.Read(path) : [];
        return new ApiKeys([.. options.ApiKeys.Select(ApiKey.Plain), .. admins, .. filed], parts.GetRequiredService<TimeProvider>());
    }

    /// <summary>From the outside in.</summary>
    private static void AddPipeline(WebApplication app)
    {
        app.UseMiddleware<RequestRecordMiddleware>();
        app.UseMiddleware<ErrorMiddleware>();
        app.UseRouting();
        app.UseMiddleware<ApiKeyMiddleware>();
        app.MapRoutes();
    }

    /// <summary>The warning for a server that anyone in the network can use, or null.</summary>
    public static string? Exposure(ServerOptions options, ApiKeys keys)
    {
        var exposed = options.Urls.FirstOrDefault(url => !IsLocal(url));
        return exposed is null || keys.AreRequired ? null : $"{exposed} can be reached from other machines and no key is asked for (--api-key, --key-file): anyone there can use this server.";
    }

    private static bool IsLocal(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed)) return false;
        return parsed.Host == "localhost" || (IPAddress.TryParse(parsed.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
    }

    private static void LogJson(ILoggingBuilder logging) => logging
        .Configure(factory => factory.ActivityTrackingOptions = ActivityTrackingOptions.None)
        .AddJsonConsole(console =>
        {
            console.IncludeScopes = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
        })
        .AddFilter("Microsoft", LogLevel.Warning)

        // A failed start is told in one line by the program, see ServerRun.
        .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);

    private static void Measure(ModelEntry entry)
    {
        var metrics = entry.Metrics;
        Gauge("onnxllm_num_requests_running", "Sequences that hold a slot.", model => model.Running);
        Gauge("onnxllm_num_requests_waiting", "Sequences that wait for a slot.", model => model.Waiting);
        Gauge("onnxllm_kv_cache_usage_ratio", "Part of the memory for keys and values of running sequences that holds some.", model => model is DecoderModel { Engine: var engine } ? engine.CacheUsage : 0);
        Gauge("onnxllm_batch_cap", "Sequences that may be decoded together at present.", model => model is DecoderModel { Engine: var engine } ? engine.BatchCap : 0);
        Gauge("onnxllm_prefix_cache_bytes", "Bytes of keys and values kept beside the slots: of sequences that have ended, and of interrupted ones.", model => model is DecoderModel { Engine: var engine } ? engine.PrefixCacheBytes : 0);
        metrics.Gauge("onnxllm_model_info", "The loaded model.", () => entry.Current is null ? 0 : 1, () => entry.Current is { } model ? Labels(model.Description) : "");

        void Gauge(string name, string help, Func<LoadedModel, double> read) =>
            metrics.Gauge(name, help, () => entry.Current is { } model ? read(model) : 0);
    }

    private static string Labels(ServedModel model) => string.Join(
        ',',
        PrometheusText.Label("fingerprint", model.Fingerprint),
        PrometheusText.Label("precision", model.Precision),
        PrometheusText.Label("provider", model.Provider),
        PrometheusText.Label("ort_version", model.RuntimeVersion));
}
