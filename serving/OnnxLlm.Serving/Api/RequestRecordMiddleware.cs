using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Api;

/// <summary>Gives each request its id, and each answer its line in the log and its place in the metrics. The outermost middleware.</summary>
internal sealed class RequestRecordMiddleware(RequestDelegate next, ServingMetrics metrics, Entropy entropy, TimeProvider time, ILogger<RequestRecordMiddleware> logger)
{
    private const string Header = "x-request-id";
    private const int LongestId = 128;

    public async Task InvokeAsync(HttpContext context)
    {
        var record = new RequestRecord(Id(context), time.GetTimestamp());
        context.Features.Set(record);
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[Header] = record.Id;
            context.Response.Headers["openai-processing-ms"] = Milliseconds(record).ToString(CultureInfo.InvariantCulture);
            return Task.CompletedTask;
        });
        using var scope = logger.BeginScope("request {RequestId}", record.Id);
        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            Report(context, record);
        }
    }

    /// <summary>The caller's id if it is short and printable, so that it can be found in both logs.</summary>
    private string Id(HttpContext context)
    {
        var given = context.Request.Headers[Header].ToString();
        return given.Length is > 0 and <= LongestId && given.All(c => c is > ' ' and < '\x7f') ? given : $"req_{entropy.NextId()}";
    }

    private void Report(HttpContext context, RequestRecord record)
    {
        var (request, status) = (context.Request, context.Response.StatusCode);
        var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "unmatched";
        metrics.HttpRequests.Add(1, route, Method(request.Method), status.ToString(CultureInfo.InvariantCulture));
        if (record.Rejection is { } code) metrics.Rejected.Add(1, code);
        logger.LogInformation(
            "{Method} {Route} {Status} in {Milliseconds} ms, {PromptTokens} prompt and {CompletionTokens} completion tokens{Outcome}",
            Method(request.Method), route, status, Milliseconds(record), record.Usage?.PromptTokens ?? 0, record.Usage?.CompletionTokens ?? 0, Outcome(context, record));
    }

    private static string Outcome(HttpContext context, RequestRecord record) =>
        context.RequestAborted.IsCancellationRequested ? ", aborted by the client" : record.Rejection is { } code ? $", {code}" : "";

    /// <summary>Clients may invent methods; labels must stay few.</summary>
    private static string Method(string method) => method is "GET" or "POST" or "PUT" or "DELETE" or "HEAD" or "OPTIONS" or "PATCH" ? method : "other";

    private long Milliseconds(RequestRecord record) => (long)time.GetElapsedTime(record.Started).TotalMilliseconds;
}
