using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Reads the body of a request as a JSON object.</summary>
internal static class JsonBody
{
    /// <summary>Lets <paramref name="read"/> look at the body, which lives no longer than that.</summary>
    public static async Task<(T? Result, ApiError? Error)> ReadAsync<T>(HttpContext context, Func<RequestBody, T?> read) where T : class
    {
        if (!context.Request.HasJsonContentType()) return (null, ApiError.OfStatus(415, context.Request.Method, context.Request.Path.ToString()));
        try
        {
            using var json = await JsonDocument.ParseAsync(context.Request.Body, default, context.RequestAborted).ConfigureAwait(false);
            if (json.RootElement.ValueKind != JsonValueKind.Object) return (null, ApiError.InvalidJson("The body must be a JSON object."));
            var body = new RequestBody(json.RootElement);
            var result = read(body);
            return body.Error is null ? (result, null) : (null, body.Error);
        }
        catch (JsonException mistake)
        {
            return (null, ApiError.InvalidJson($"The body is not JSON: line {mistake.LineNumber + 1}, byte {mistake.BytePositionInLine + 1}."));
        }
    }
}
