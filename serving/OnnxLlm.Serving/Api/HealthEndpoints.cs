using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Live: the process can still do its work. Ready: it can do it now.</summary>
internal sealed class HealthEndpoints(InferenceEngine engine, ServedModel model, Drain drain, ApiKeys keys, TimeProvider time)
{
    private readonly EngineProbe _probe = new(engine, time);

    public Task LiveAsync(HttpContext context) => AnswerAsync(context, engine.Health.IsAlive ? "ok" : "failed");

    public async Task ReadyAsync(HttpContext context)
    {
        var isReady = await _probe.IsReadyAsync(context.RequestAborted).ConfigureAwait(false);
        await AnswerAsync(context, drain.IsDraining ? "draining" : isReady ? "ok" : "failed").ConfigureAwait(false);
    }

    /// <summary>Only those with a key learn more than the status.</summary>
    private Task AnswerAsync(HttpContext context, string status)
    {
        context.Response.StatusCode = status == "ok" ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        var body = new JsonObject { ["status"] = status };
        if (keys.Accept(context.Request))
        {
            body["model"] = model.Id;
            body["provider"] = model.Provider;
            body["fingerprint"] = model.Fingerprint;
        }

        return JsonResponse.WriteAsync(context, body);
    }
}
