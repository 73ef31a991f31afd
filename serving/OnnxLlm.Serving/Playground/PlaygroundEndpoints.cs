using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Playground;

/// <summary>What the page asks for beside the OpenAI routes: what the models are, and how they are doing.</summary>
internal sealed class PlaygroundEndpoints(ModelRegistry registry, Drain drain, IHostApplicationLifetime application, TimeProvider time)
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    public Task ModelsAsync(HttpContext context) => JsonResponse.WriteAsync(context, new JsonObject
    {
        ["version"] = Routes.Version(),
        ["models"] = new JsonArray([.. registry.Entries.Select(entry => entry.Current).OfType<DecoderModel>().Select(model => Card(model.Description, model.Engine.Slots))]),
    });

    /// <summary>The state of everything, each second, until the page or the server goes.</summary>
    public async Task LiveAsync(HttpContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, application.ApplicationStopping);
        var stream = new SseStream(context);
        await stream.BeginAsync().ConfigureAwait(false);
        try
        {
            while (!ending.IsCancellationRequested)
            {
                await stream.SendAsync(State()).ConfigureAwait(false);
                await Task.Delay(Pace, time, ending.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody looks any more.
        }
    }

    private JsonObject State() => new()
    {
        ["seconds"] = time.GetElapsedTime(0).TotalSeconds,
        ["draining"] = drain.IsDraining,
        ["models"] = new JsonArray([.. registry.Entries.Where(entry => entry.Current is null or DecoderModel).Select(State)]),
    };

    private static JsonObject State(ModelEntry entry)
    {
        var (metrics, engine) = (entry.Metrics, (entry.Current as DecoderModel)?.Engine);
        return new JsonObject
        {
            ["id"] = entry.Id,
            ["state"] = engine is null ? "unloaded" : engine.Health.IsAlive ? "ok" : "failed",
            ["running"] = engine?.Running ?? 0,
            ["waiting"] = engine?.Waiting ?? 0,
            ["slots"] = engine?.Slots ?? 0,
            ["batch_cap"] = engine?.BatchCap ?? 0,
            ["prompt_tokens"] = metrics.PromptTokens.Value(),
            ["generation_tokens"] = metrics.GenerationTokens.Value(),
            ["prefix_queries"] = metrics.PrefixQueries.Value(),
            ["prefix_hits"] = metrics.PrefixHits.Value(),
            ["prefix_bytes"] = engine?.PrefixCacheBytes ?? 0,
            ["response_hits"] = metrics.CacheHits.Value(),
            ["response_misses"] = metrics.CacheMisses.Value(),
            ["first_token"] = Mean(metrics.TimeToFirstToken),
            ["inter_token"] = Mean(metrics.InterTokenLatency),
        };
    }

    private static JsonObject Mean(Metrics.Histogram times) => new() { ["count"] = times.Count, ["sum"] = times.Sum };

    private static JsonObject Card(ServedModel model, int slots) => new()
    {
        ["id"] = model.Id,
        ["parameters"] = model.Parameters,
        ["precision"] = model.Precision,
        ["context"] = model.Context,
        ["vocabulary"] = model.VocabularySize,
        ["slots"] = slots,
        ["chat_template"] = model.Template?.Name,
        ["provider"] = model.Provider,
        ["runtime"] = model.RuntimeVersion,
        ["fingerprint"] = model.Fingerprint,
        ["created"] = model.Created.ToUnixTimeSeconds(),
        ["quantization"] = model.Quantization?.DeepClone(),
    };
}
