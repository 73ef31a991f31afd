using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Why a request is refused, in the words of the OpenAI API. The status decides whether clients try again.</summary>
internal sealed record ApiError(int Status, string Type, string? Code, string? Param, string Message)
{
    private const string InvalidRequest = "invalid_request_error";

    /// <summary>When to try again, for 429 and 503.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>Trying again cannot help, although the status is one that clients repeat.</summary>
    public bool IsFinal { get; init; }

    public static ApiError Invalid(string? param, string message, string? code = "invalid_value") => new(400, InvalidRequest, code, param, message);

    public static ApiError Unsupported(string param, string why) => Invalid(param, $"'{param}' is not supported: {why}", "unsupported_parameter");

    public static ApiError InvalidJson(string message) => Invalid(null, message, "invalid_json");

    public static ApiError ContextLength(string message) => Invalid(null, message, "context_length_exceeded");

    public static ApiError ModelNotFound(string model) => new(404, InvalidRequest, "model_not_found", "model", $"The model '{Shortened(model)}' does not exist here; GET /v1/models lists those that do.");

    /// <summary>The model is for another task than the route.</summary>
    /// <param name="wanted">The route's task.</param>
    public static ApiError WrongTask(ServedModel model, string wanted) =>
        Invalid("model", $"The model '{Shortened(model.Id)}' is {ModelTask.Kind(model.Task)}, which {ModelTask.Not(wanted)}; {ModelTask.Does(model.Task)}.", "unsupported_model");

    public static ApiError EmptyText() => Invalid("input", "A text of 'input' is empty; there is nothing to read.", "empty_input");

    public static ApiError NoMask(string mask) => Invalid("input", $"Every text of 'input' needs a place to fill: write {mask} there.", "no_mask_token");

    public static ApiError InvalidKey() => new(401, InvalidRequest, "invalid_api_key", null, "The API key is missing or wrong. Send it as 'Authorization: Bearer <key>'.");

    private static string Shortened(string text) => text.Length <= 100 ? text : $"{text[..100]}…";

    public static ApiError QueueFull() => new(429, "rate_limit_error", "queue_full", null, "Too many requests are waiting; try again shortly.") { RetryAfterSeconds = 1 };

    public static ApiError RateLimit(int seconds) => new(429, "rate_limit_error", "rate_limit_exceeded", null, "This key has used up its quota for the moment.") { RetryAfterSeconds = seconds };

    /// <summary>Waiting does not help.</summary>
    public static ApiError InsufficientQuota() => new(429, "insufficient_quota", "insufficient_quota", null, "This key has used up all of its tokens.") { IsFinal = true };

    public static ApiError InsufficientScope() => new(403, "permission_error", "insufficient_scope", null, "This key does not open what only administrators may do.");

    public static ApiError Filtered(string category) => Invalid(null, $"The prompt was refused by the content filter: {category}.", "content_filter");

    public static ApiError LoadFailed(string why) => new(422, InvalidRequest, "model_load_failed", null, why);

    public static ApiError ModelLoading(string model) => new(503, "server_error", "model_loading", "model", $"The model '{Shortened(model)}' is being loaded.") { RetryAfterSeconds = 5 };

    public static ApiError Draining() => new(503, "server_error", "draining", null, "The server is shutting down and takes no new work.") { RetryAfterSeconds = 5 };

    public static ApiError Late() => new(504, "timeout_error", "request_timeout", null, "The answer took longer than the server allows; ask for less.") { IsFinal = true };

    public static ApiError EngineDead() => new(503, "server_error", "engine_dead", null, "The engine has failed and takes no more work.") { IsFinal = true };

    public static ApiError Internal(string requestId) => new(500, "server_error", "internal_error", null, $"The server failed to answer; its log says why under request {requestId}.");

    /// <summary>For a status that the framework chose.</summary>
    public static ApiError OfStatus(int status, string method, string path) => status switch
    {
        404 => new(404, InvalidRequest, "unknown_url", null, $"There is no {path} here."),
        405 => new(405, InvalidRequest, "method_not_allowed", null, $"{path} does not accept {method}."),
        408 => new(408, "timeout_error", "request_timeout", null, "The request body came too slowly."),
        413 => new(413, InvalidRequest, "request_too_large", null, "The request body is too large."),
        415 => new(415, InvalidRequest, "unsupported_media_type", null, "The body must be JSON: send 'Content-Type: application/json'."),
        >= 500 => new(status, "server_error", "internal_error", null, "The server failed to answer."),
        _ => new(status, InvalidRequest, null, null, "The request is malformed."),
    };

    public JsonObject ToJson() => new()
    {
        ["error"] = new JsonObject { ["message"] = Message, ["type"] = Type, ["param"] = Param, ["code"] = Code },
    };

    /// <summary>The same for the routes of the Open Inference Protocol.</summary>
    public JsonObject ToPlainJson() => new() { ["error"] = Message };

    /// <summary>Answers with this error. The response must not have begun.</summary>
    public Task WriteAsync(HttpContext context)
    {
        var headers = context.Response.Headers;
        context.Response.StatusCode = context.GetEndpoint()?.Metadata.GetMetadata<TextProfile>() is null ? Status : TextProfile.Of(Status);
        if (RetryAfterSeconds is { } seconds) headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        if (IsFinal) headers["x-should-retry"] = "false";
        if (Status == 401) headers.WWWAuthenticate = "Bearer";
        RequestRecord.Of(context).Rejection = Code ?? "invalid_request";
        return JsonResponse.WriteAsync(context, context.Request.Path.StartsWithSegments("/v2", StringComparison.Ordinal) ? ToPlainJson() : ToJson());
    }
}
