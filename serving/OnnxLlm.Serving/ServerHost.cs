using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving;

/// <summary>Puts the server together around a model and the runner that computes it. The host owns both from then on.</summary>
internal static class ServerHost
{
    /// <param name="time">The clock, and <paramref name="entropy"/> the chance, that everything in the server uses.</param>
    /// <param name="logging">Takes the place of JSON lines on standard output.</param>
    public static WebApplication Build(
        ServerOptions options, ServedModel model, IModelRunner runner, TimeProvider? time = null, Entropy? entropy = null, Action<ILoggingBuilder>? logging = null)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = typeof(ServerHost).Assembly.GetName().Name });
        builder.Logging.ClearProviders();
        (logging ?? LogJson)(builder.Logging);
        // Nothing here blocks, so what the sockets wake may run where it is woken.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.Limits.BodyBytes;
        });

        builder.Services.AddSingleton(options).AddSingleton(model).AddSingleton(runner);
        builder.Services.AddSingleton(time ?? TimeProvider.System).AddSingleton(entropy ?? Entropy.System);
        AddParts(builder.Services);
        var app = builder.Build();
        foreach (var url in options.Urls) app.Urls.Add(url);
        AddPipeline(app);
        Measure(app.Services.GetRequiredService<ServingMetrics>(), app.Services.GetRequiredService<InferenceEngine>(), model);
        return app;
    }

    private static void AddParts(IServiceCollection services)
    {
        services.AddSingleton(s => new ApiKeys(s.GetRequiredService<ServerOptions>().ApiKeys)).AddSingleton<Drain>().AddSingleton<ServingMetrics>();
        services.AddSingleton(CreateCache).AddSingleton(CreateEngine).AddSingleton<Generation>();
        services.AddSingleton<GenerationEndpoint>().AddSingleton<ModelEndpoints>().AddSingleton<HealthEndpoints>();
        services.AddSingleton<DrainingLifetime>().AddSingleton<IHostLifetime>(s => s.GetRequiredService<DrainingLifetime>());
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
    }

    private static ResponseCache CreateCache(IServiceProvider parts) =>
        new(parts.GetRequiredService<ServerOptions>().CacheBytes, parts.GetRequiredService<ServedModel>().Fingerprint, parts.GetRequiredService<ServingMetrics>());

    private static InferenceEngine CreateEngine(IServiceProvider parts) => new(
        parts.GetRequiredService<IModelRunner>(),
        parts.GetRequiredService<ServerOptions>().Engine with { Vocabulary = parts.GetRequiredService<ServedModel>().VocabularySize },
        parts.GetRequiredService<ServingMetrics>(),
        parts.GetRequiredService<TimeProvider>(),
        parts.GetRequiredService<ILogger<InferenceEngine>>());

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
    public static string? Exposure(ServerOptions options)
    {
        var exposed = options.Urls.FirstOrDefault(url => !IsLocal(url));
        return exposed is null || options.ApiKeys.Length > 0 ? null : $"{exposed} can be reached from other machines and no --api-key is set: anyone there can use this server.";
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

    private static void Measure(ServingMetrics metrics, InferenceEngine engine, ServedModel model)
    {
        metrics.Gauge("onnxllm_num_requests_running", "Sequences that hold a slot.", () => engine.Running);
        metrics.Gauge("onnxllm_num_requests_waiting", "Sequences that wait for a slot.", () => engine.Waiting);
        metrics.Gauge("onnxllm_kv_cache_usage_ratio", "Part of the slots in use.", () => (double)engine.Running / engine.Slots);
        metrics.Gauge("onnxllm_batch_cap", "Sequences that may be decoded together at present.", () => engine.BatchCap);
        metrics.Gauge("onnxllm_prefix_cache_bytes", "Bytes of keys and values kept of sequences that have ended.", () => engine.PrefixCacheBytes);
        string[] labels =
        [
            PrometheusText.Label("fingerprint", model.Fingerprint),
            PrometheusText.Label("precision", model.Precision),
            PrometheusText.Label("provider", model.Provider),
            PrometheusText.Label("ort_version", model.RuntimeVersion),
        ];
        metrics.Gauge("onnxllm_model_info", "The loaded model.", () => 1, string.Join(',', labels));
    }
}
