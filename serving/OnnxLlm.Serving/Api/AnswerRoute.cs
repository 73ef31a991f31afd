using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Tracing;

namespace OnnxLlm.Serving.Api;

/// <summary>What all routes that generate do around writing an answer: read, refuse or admit, tell in the headers what it is, trace it, charge for it.</summary>
internal sealed class AnswerRoute(GenerationReader reader, ServerOptions options, Drain drain, TimeProvider time)
{
    /// <param name="operation">What traces call it.</param>
    /// <param name="model">Where the path names the model; otherwise the body does.</param>
    /// <param name="write">Writes the answer.</param>
    public async Task HandleAsync(HttpContext context, string operation, string? model, ReadPrompts read, Func<Answer, ReadRequest, Task> write)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context, operation, model, read, write).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context, string operation, string? model, ReadPrompts read, Func<Answer, ReadRequest, Task> write)
    {
        var (understood, error) = await reader.ReadAsync(context, model, read).ConfigureAwait(false);
        using var held = understood;
        if (held is null) return error;

        using var limit = new CancellationTokenSource(options.RequestTimeout, time);
        var caller = Caller.Of(context);
        using var trace = RequestTrace.Begin(context, operation, held, time);
        var mayCache = !context.Request.Headers.CacheControl.ToString().Contains("no-store", StringComparison.OrdinalIgnoreCase);
        (var started, error) = await new Generation(held.Model, caller).StartAsync(held.Request, mayCache, context.RequestAborted).ConfigureAwait(false);
        using var answer = started;
        if (answer is null) return trace?.Refused(error!) ?? error;

        Describe(context, answer);
        try
        {
            await write(TimedAnswer.Within(options.RequestTimeout, answer, limit.Token), held).ConfigureAwait(false);
        }
        catch (Exception fault)
        {
            trace?.Failed(fault);
            throw;
        }
        finally
        {
            trace?.Describe(answer);
            RequestRecord.Of(context).Usage = answer.Usage;
            caller.Quota?.Charge(answer.Usage.PromptTokens + answer.Usage.CompletionTokens);
        }

        return null;
    }

    private static void Describe(HttpContext context, Answer answer)
    {
        context.Response.Headers["x-seed"] = FormattableString.Invariant($"{answer.Seed}");
        if (answer.CacheState is { } state) context.Response.Headers["x-cache"] = state;
    }
}
