using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Says which model is loaded.</summary>
internal sealed class ModelEndpoints(ServedModel model)
{
    public Task ListAsync(HttpContext context) =>
        JsonResponse.WriteAsync(context, new JsonObject { ["object"] = "list", ["data"] = new JsonArray(Describe()) });

    public Task GetAsync(HttpContext context)
    {
        // The framework leaves %2F alone in paths, and clients escape the slash of an id.
        var id = Uri.UnescapeDataString(context.Request.RouteValues["id"] as string ?? "");
        return model.IsCalled(id) ? JsonResponse.WriteAsync(context, Describe()) : ApiError.ModelNotFound(id).WriteAsync(context);
    }

    private JsonObject Describe() => new()
    {
        ["id"] = model.Id,
        ["object"] = "model",
        ["created"] = model.Created.ToUnixTimeSeconds(),
        ["owned_by"] = "local",
        ["max_model_len"] = model.Context,
        ["quantization"] = model.Precision,
        ["fingerprint"] = model.Fingerprint,
    };
}
