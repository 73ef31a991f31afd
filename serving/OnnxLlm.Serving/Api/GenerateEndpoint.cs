using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>Triton's routes for text: the same requests and the same engine behind another form.</summary>
internal sealed class GenerateEndpoint(AnswerRoute route)
{
    public Task WholeAsync(HttpContext context) => HandleAsync(context, WriteWholeAsync);

    public Task StreamAsync(HttpContext context) => HandleAsync(context, WriteStreamAsync);

    private Task HandleAsync(HttpContext context, Func<HttpContext, Answer, ReadRequest, Task> write) => route.HandleAsync(
        context, "text_completion", RouteText.Of(context, "model"), static (body, model, shared) => new GenerateParser(body, model).Read(shared), (answer, held) => write(context, answer, held));

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
        catch (Exception fault) when (fault is ServingException or AnswerException)
        {
            await stream.SendAsync(AnswerException.ErrorOf(fault, context).ToPlainJson()).ConfigureAwait(false);
            throw;
        }
    }

    private static GenerateFormat Format(ReadRequest read) => new(read.Lease.Description.Id, hasDetails: read.Request.Alternatives is not null);
}
