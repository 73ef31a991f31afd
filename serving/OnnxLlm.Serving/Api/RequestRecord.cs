using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>What the log and the metrics say about one HTTP request. It never holds what was asked or answered.</summary>
internal sealed class RequestRecord(string id, long started)
{
    public string Id => id;

    public long Started => started;

    /// <summary>The error code, if the request was refused.</summary>
    public string? Rejection { get; set; }

    public Usage? Usage { get; set; }

    public static RequestRecord Of(HttpContext context) =>
        context.Features.Get<RequestRecord>() ?? throw new ServingException("The request has no record; RequestRecordMiddleware comes first.");
}
