using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the body of a request as a JSON object. The whole of it has to come in time, however steadily it does.</summary>
internal sealed class JsonBody(ServerOptions options, TimeProvider time)
{
    /// <summary>Lets <paramref name="read"/> look at the body, which lives no longer than that.</summary>
    public async Task<(T? Result, ApiError? Error)> ReadAsync<T>(HttpContext context, Func<RequestBody, T?> read) where T : class
    {
        if (!context.Request.HasJsonContentType()) return (null, Refusal(context, 415));
        using var late = new CancellationTokenSource(options.Limits.BodyTime, time);
        try
        {
            using var json = await ParseAsync(context, late.Token).ConfigureAwait(false);
            if (json.RootElement.ValueKind != JsonValueKind.Object) return (null, ApiError.InvalidJson("The body must be a JSON object."));
            var body = new RequestBody(json.RootElement);
            var result = read(body);
            return body.Error is null ? (result, null) : (null, body.Error);
        }
        catch (JsonException mistake)
        {
            return (null, ApiError.InvalidJson($"The body is not JSON: line {mistake.LineNumber + 1}, byte {mistake.BytePositionInLine + 1}."));
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            context.Response.Headers.Connection = "close";
            return (null, Refusal(context, 408));
        }
    }

    private static async Task<JsonDocument> ParseAsync(HttpContext context, CancellationToken late)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(late, context.RequestAborted);
        return await JsonDocument.ParseAsync(context.Request.Body, default, ended.Token).ConfigureAwait(false);
    }

    private static ApiError Refusal(HttpContext context, int status) => ApiError.OfStatus(status, context.Request.Method, context.Request.Path.ToString());
}
