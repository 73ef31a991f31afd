using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Gives every failure an OpenAI error body: exceptions, and statuses the framework chose by itself.</summary>
internal sealed class ErrorMiddleware(RequestDelegate next, ILogger<ErrorMiddleware> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context).ConfigureAwait(false);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
                await OfStatus(context, context.Response.StatusCode).WriteAsync(context).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone; there is nobody to answer.
        }
        catch (BadHttpRequestException refused) when (!context.Response.HasStarted)
        {
            await OfStatus(context, refused.StatusCode).WriteAsync(context).ConfigureAwait(false);
        }
        catch (AnswerException told) when (!context.Response.HasStarted)
        {
            await told.Error.WriteAsync(context).ConfigureAwait(false);
        }
        catch (Exception fault) when (!context.Response.HasStarted)
        {
            logger.LogError(fault, "A request failed.");
            await ApiError.Internal(RequestRecord.Of(context).Id).WriteAsync(context).ConfigureAwait(false);
        }
    }

    private static ApiError OfStatus(HttpContext context, int status) =>
        ApiError.OfStatus(status, context.Request.Method, context.Request.Path.ToString());
}
