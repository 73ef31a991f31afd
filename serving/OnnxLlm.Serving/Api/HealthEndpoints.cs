using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Live: the process can still do its work. Ready: it can do it now.</summary>
internal sealed class HealthEndpoints(ModelRegistry registry, Drain drain, ApiKeys keys)
{
    public Task LiveAsync(HttpContext context) => AnswerAsync(context, Loaded.All(model => model.Health.IsAlive) ? "ok" : "failed");

    public async Task ReadyAsync(HttpContext context)
    {
        var isReady = Loaded.Any();
        foreach (var entry in registry.Entries)
        {
            using var lease = entry.Enter();
            if (lease is not null) isReady &= await lease.Model.IsReadyAsync(context.RequestAborted).ConfigureAwait(false);
        }

        await AnswerAsync(context, drain.IsDraining ? "draining" : isReady ? "ok" : "failed").ConfigureAwait(false);
    }

    private IEnumerable<LoadedModel> Loaded => registry.Entries.Select(entry => entry.Current).OfType<LoadedModel>();

    /// <summary>Only those with a key learn more than the status.</summary>
    private Task AnswerAsync(HttpContext context, string status)
    {
        context.Response.StatusCode = status == "ok" ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        var body = new JsonObject { ["status"] = status };
        if (keys.Accept(context.Request))
        {
            var model = registry.Default.Current?.Description;
            body["model"] = registry.Default.Id;
            body["provider"] = model?.Provider;
            body["fingerprint"] = model?.Fingerprint;
        }

        return JsonResponse.WriteAsync(context, body);
    }
}
