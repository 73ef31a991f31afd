using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Says which models are loaded.</summary>
internal sealed class ModelEndpoints(ModelRegistry registry)
{
    public Task ListAsync(HttpContext context) => JsonResponse.WriteAsync(context, new JsonObject
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. registry.Entries.Select(entry => entry.Current?.Description).OfType<ServedModel>().Select(Describe)]),
    });

    public Task GetAsync(HttpContext context)
    {
        var id = RouteText.Of(context, "id");
        return registry.Find(id)?.Current is { } model ? JsonResponse.WriteAsync(context, Describe(model.Description)) : ApiError.ModelNotFound(id).WriteAsync(context);
    }

    private static JsonObject Describe(ServedModel model) => new()
    {
        ["id"] = model.Id,
        ["object"] = "model",
        ["created"] = model.Created.ToUnixTimeSeconds(),
        ["owned_by"] = "local",
        ["task"] = model.Task,
        ["max_model_len"] = model.Context,
        ["quantization"] = model.Precision,
        ["quantization_speedup"] = model.QuantizationSpeedup,
        ["fingerprint"] = model.Fingerprint,
    };
}
