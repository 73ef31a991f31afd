using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Tracing;

namespace OnnxLlm.Serving.Api;

/// <summary>Triton's routes for text: the same requests and the same engine behind another form.</summary>
internal sealed class GenerateEndpoint(GenerationReader reader, Drain drain, TimeProvider time)
{
    public Task WholeAsync(HttpContext context) => HandleAsync(context, WriteWholeAsync);

    public Task StreamAsync(HttpContext context) => HandleAsync(context, WriteStreamAsync);

    private async Task HandleAsync(HttpContext context, Func<HttpContext, Answer, ReadRequest, Task> write)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context, write).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    private async Task<ApiError?> AnswerAsync(HttpContext context, Func<HttpContext, Answer, ReadRequest, Task> write)
    {
        var (read, error) = await reader.ReadAsync(context, RouteText.Of(context, "model"), static (body, model, shared) => new GenerateParser(body, model).Read(shared)).ConfigureAwait(false);
        using var held = read;
        if (held is null) return error;

        using var trace = RequestTrace.Begin(context, "text_completion", held, time);
        var caller = Caller.Of(context);
        (var started, error) = await new Generation(held.Lease.Model, caller).StartAsync(held.Request, mayCache: true, context.RequestAborted).ConfigureAwait(false);
        using var answer = started;
        if (answer is null) return trace?.Refused(error!) ?? error;
        try
        {
            await write(context, answer, held).ConfigureAwait(false);
        }
        catch (Exception fault)
        {
            trace?.Failed(fault);
            throw;
        }
        finally
        {
            trace?.Describe(answer);
        }

        RequestRecord.Of(context).Usage = answer.Usage;
        caller.Quota?.Charge(answer.Usage.PromptTokens + answer.Usage.CompletionTokens);
        return null;
    }

    private static async Task WriteWholeAsync(HttpContext context, Answer answer, ReadRequest read)
    {
        ChoiceDelta? whole = null;
        await foreach (var delta in answer.ReadAsync(context.RequestAborted).ConfigureAwait(false)) whole = whole?.Then(delta) ?? delta;
        await JsonResponse.WriteAsync(context, Format(read).Whole(whole!)).ConfigureAwait(false);
    }

    private static async Task WriteStreamAsync(HttpContext context, Answer answer, ReadRequest read)
    {
        var (stream, format) = (new SseStream(context), Format(read));
        await stream.BeginAsync().ConfigureAwait(false);
        try
        {
            await foreach (var delta in answer.ReadAsync(context.RequestAborted).ConfigureAwait(false))
            {
                foreach (var piece in format.Pieces(delta)) stream.Append(piece);
                await stream.FlushAsync().ConfigureAwait(false);
            }
        }
        catch (ServingException)
        {
            await stream.SendAsync(ApiError.Internal(RequestRecord.Of(context).Id).ToPlainJson()).ConfigureAwait(false);
            throw;
        }
    }

    private static GenerateFormat Format(ReadRequest read) => new(read.Lease.Description.Id, hasDetails: read.Request.Alternatives is not null);
}
