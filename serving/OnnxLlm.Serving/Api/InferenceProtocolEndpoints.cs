using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>
/// The Open Inference Protocol, version 2, with Triton's extensions for text and for the repository: what model servers and gateways speak among
/// themselves. Errors are <c>{"error":"text"}</c> here.
/// </summary>
internal sealed class InferenceProtocolEndpoints(ModelRegistry registry)
{
    public static Task ServerAsync(HttpContext context) => JsonResponse.WriteAsync(context, new JsonObject
    {
        ["name"] = "onnxllm",
        ["version"] = Routes.Version(),
        ["extensions"] = new JsonArray("generate", "model_repository", "statistics"),
    });

    public Task ModelAsync(HttpContext context)
    {
        if (registry.Find(RouteText.Of(context, "model"))?.Current is not { } loaded) return NotFoundAsync(context);
        if (loaded is not DecoderModel model) return ApiError.NeedsDecoder(loaded).WriteAsync(context);
        var vocabulary = model.Engine.ModelVocabulary;
        return JsonResponse.WriteAsync(context, new JsonObject
        {
            ["name"] = model.Description.Id,
            ["versions"] = new JsonArray("1"),
            ["platform"] = "onnx_onnxv1",
            ["inputs"] = new JsonArray(Tensor(InferTensors.Ids, "INT64", -1, -1), Tensor(InferTensors.Mask, "INT64", -1, -1)),
            ["outputs"] = new JsonArray(Tensor(InferTensors.Logits, "FP32", -1, -1, vocabulary), Tensor(InferTensors.LastLogits, "FP32", -1, vocabulary)),
        });
    }

    public async Task ReadyAsync(HttpContext context)
    {
        using var lease = registry.Find(RouteText.Of(context, "model"))?.Enter();
        var isReady = lease is not null && await lease.Model.IsReadyAsync(context.RequestAborted).ConfigureAwait(false);
        if (!isReady) context.Response.StatusCode = lease is null ? StatusCodes.Status404NotFound : StatusCodes.Status503ServiceUnavailable;
        await JsonResponse.WriteAsync(context, new JsonObject { ["name"] = RouteText.Of(context, "model"), ["ready"] = isReady }).ConfigureAwait(false);
    }

    /// <summary>Counts and sums in nanoseconds, from the counters that /metrics shows.</summary>
    public Task StatisticsAsync(HttpContext context)
    {
        if (registry.Find(RouteText.Of(context, "model")) is not { } entry) return NotFoundAsync(context);
        var metrics = entry.Metrics;
        return JsonResponse.WriteAsync(context, new JsonObject
        {
            ["model_stats"] = new JsonArray(new JsonObject
            {
                ["name"] = entry.Id,
                ["version"] = "1",
                ["inference_count"] = metrics.RequestLatency.Count,
                ["execution_count"] = metrics.Executions.Value("prefill") + metrics.Executions.Value("decode"),
                ["inference_stats"] = new JsonObject
                {
                    ["success"] = Duration(metrics.RequestLatency),
                    ["fail"] = new JsonObject { ["count"] = metrics.Requests.Value("error"), ["ns"] = 0 },
                    ["queue"] = Duration(metrics.QueueTime),
                    ["compute_input"] = InPlace(metrics.InferenceTime),
                    ["compute_infer"] = Duration(metrics.InferenceTime),
                    ["compute_output"] = InPlace(metrics.InferenceTime),
                },
            }),
        });
    }

    public Task IndexAsync(HttpContext context) => JsonResponse.WriteAsync(context, new JsonArray([.. registry.Entries.Select(entry => new JsonObject
    {
        ["name"] = entry.Id,
        ["version"] = "1",
        ["state"] = entry.Current is null ? "UNAVAILABLE" : "READY",
        ["reason"] = entry.Reason,
    })]));

    public async Task LoadAsync(HttpContext context)
    {
        if (registry.Find(RouteText.Of(context, "model")) is not { } entry) await NotFoundAsync(context).ConfigureAwait(false);
        else if (await registry.ReloadAsync(entry, context.RequestAborted).ConfigureAwait(false) is { Length: > 0 } reason) await ApiError.LoadFailed(reason).WriteAsync(context).ConfigureAwait(false);
    }

    public Task UnloadAsync(HttpContext context)
    {
        if (registry.Find(RouteText.Of(context, "model")) is not { } entry) return NotFoundAsync(context);
        registry.Unload(entry);
        return Task.CompletedTask;
    }

    private static Task NotFoundAsync(HttpContext context) => ApiError.ModelNotFound(RouteText.Of(context, "model")).WriteAsync(context);

    private static JsonObject Tensor(string name, string type, params long[] shape) => new()
    {
        ["name"] = name,
        ["datatype"] = type,
        ["shape"] = new JsonArray([.. shape.Select(size => JsonValue.Create(size))]),
    };

    /// <summary>Inputs and outputs are where the model reads and writes them: moving them takes no time of its own.</summary>
    private static JsonObject InPlace(Metrics.Histogram times) => new() { ["count"] = times.Count, ["ns"] = 0 };

    private static JsonObject Duration(Metrics.Histogram times) => new() { ["count"] = times.Count, ["ns"] = (long)(times.Sum * 1e9) };
}
