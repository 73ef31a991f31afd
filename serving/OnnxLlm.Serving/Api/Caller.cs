using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Who sent a request, by its key, or by its address where no keys are asked for.</summary>
/// <param name="Name">For fairness; never the key itself.</param>
/// <param name="Priority">Of its requests, at most.</param>
/// <param name="Quota">What it may use; null for anything.</param>
internal sealed record Caller(string Name, bool IsAdmin, int Priority, Quota? Quota)
{
    public static Caller Of(HttpContext context) =>
        context.Features.Get<Caller>() ?? new Caller(context.Connection.RemoteIpAddress?.ToString() ?? "", false, 0, null);
}
