using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>What only an administrator may do: load a model anew, take it out of service, empty the caches, end the server.</summary>
internal sealed class AdminEndpoints(ModelRegistry registry, Drain drain, DrainingLifetime lifetime)
{
    /// <summary>As SIGTERM does; answers at once.</summary>
    public Task DrainAsync(HttpContext context)
    {
        if (!drain.IsDraining) _ = lifetime.EndAsync();
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        return JsonResponse.WriteAsync(context, new JsonObject { ["status"] = "draining" });
    }

    /// <summary>Answers and beginnings of prompts that this process keeps; what replicas share is not its own.</summary>
    public async Task ResetCachesAsync(HttpContext context)
    {
        foreach (var entry in registry.Entries)
        {
            using var lease = entry.Enter();
            if (lease is not null) await lease.Model.ForgetAsync(context.RequestAborted).ConfigureAwait(false);
        }

        await JsonResponse.WriteAsync(context, new JsonObject { ["status"] = "ok" }).ConfigureAwait(false);
    }

    /// <summary>Answers once the new model has taken over, or has turned out not to work; then the old one goes on.</summary>
    public async Task ReloadAsync(HttpContext context)
    {
        if (Entry(context) is not { } entry) await NotFound(context).ConfigureAwait(false);
        else if (await registry.ReloadAsync(entry, context.RequestAborted).ConfigureAwait(false) is { Length: > 0 } reason) await ApiError.LoadFailed(reason).WriteAsync(context).ConfigureAwait(false);
        else await DescribeAsync(context, entry).ConfigureAwait(false);
    }

    public Task UnloadAsync(HttpContext context)
    {
        if (Entry(context) is not { } entry) return NotFound(context);
        registry.Unload(entry);
        return DescribeAsync(context, entry);
    }

    private ModelEntry? Entry(HttpContext context) => registry.Find(RouteText.Of(context, "id"));

    private static Task NotFound(HttpContext context) => ApiError.ModelNotFound(RouteText.Of(context, "id")).WriteAsync(context);

    private static Task DescribeAsync(HttpContext context, ModelEntry entry) => JsonResponse.WriteAsync(context, new JsonObject
    {
        ["id"] = entry.Id,
        ["state"] = entry.Current is null ? "unloaded" : "loaded",
        ["fingerprint"] = entry.Current?.Description.Fingerprint,
    });
}

/// <summary>Text in a path.</summary>
internal static class RouteText
{
    /// <summary>The framework leaves %2F alone in paths, and clients escape the slash of an id.</summary>
    public static string Of(HttpContext context, string name) => Uri.UnescapeDataString(context.Request.RouteValues[name] as string ?? "");
}
