using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers both generation routes of the OpenAI API, whole or as a stream.</summary>
internal sealed class GenerationEndpoint(AnswerRoute route, ServerOptions options, Entropy entropy, TimeProvider time)
{
    public Task CompleteAsync(HttpContext context) =>
        HandleAsync(context, new CompletionFormat(), (body, model, shared) => new CompletionParser(body, model, options.Limits).Read(shared));

    public Task ChatAsync(HttpContext context) =>
        HandleAsync(context, new ChatFormat(), (body, model, shared) => new ChatParser(body, model, options.Limits).Read(shared));

    private Task HandleAsync(HttpContext context, IAnswerFormat format, ReadPrompts read) =>
        route.HandleAsync(context, format.Operation, null, read, (answer, held) => WriteAsync(context, answer, format, held));

    private Task WriteAsync(HttpContext context, Answer answer, IAnswerFormat format, ReadRequest held)
    {
        ServedModel model = held.Lease.Description;
        var head = new AnswerHead(format.IdPrefix + entropy.NextId(), time.GetUtcNow().ToUnixTimeSeconds(), model.Id, model.Fingerprint);
        var writer = new AnswerWriter(head, format, held.Request);
        return held.Request.Stream ? StreamAsync(context, answer, writer) : WholeAsync(context, answer, writer);
    }

    private static async Task WholeAsync(HttpContext context, Answer answer, AnswerWriter writer)
    {
        var deltas = new List<ChoiceDelta>();
        await foreach (var delta in answer.ReadAsync(context.RequestAborted).ConfigureAwait(false)) deltas.Add(delta);
        await JsonResponse.WriteAsync(context, writer.Whole(deltas, answer.Choices, answer.Usage)).ConfigureAwait(false);
    }

    private async Task StreamAsync(HttpContext context, Answer answer, AnswerWriter writer)
    {
        var stream = new SseStream(context);
        await stream.BeginAsync().ConfigureAwait(false);
        try
        {
            foreach (var piece in writer.Opening(answer.Choices)) stream.Append(piece);
            await AnswerStream.SendAsync(stream, answer, delta => writer.Append(stream, delta), time, context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is ServingException or AnswerException)
        {
            // The status is out already. The error goes into the stream, and the connection breaks without [DONE], because some clients
            // look for the one and some for the other.
            await stream.SendAsync(AnswerException.ErrorOf(fault, context).ToJson()).ConfigureAwait(false);
            throw;
        }

        if (writer.Closing(answer.Usage) is { } closing) await stream.SendAsync(closing).ConfigureAwait(false);
        await stream.EndAsync().ConfigureAwait(false);
    }
}
