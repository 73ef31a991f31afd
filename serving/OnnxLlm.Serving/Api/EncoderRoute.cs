using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>What all routes of encoders do around an answer: read, refuse or admit, wait for the engine as long as the server allows, charge for it.</summary>
internal sealed class EncoderRoute(JsonBody json, ServerOptions options, Drain drain, TimeProvider time)
{
    /// <param name="read">Reads the body.</param>
    /// <param name="tell">What a text's answer says, beside its index.</param>
    public async Task HandleAsync(HttpContext context, Func<RequestBody, EncoderRequest?> read, Func<EncoderRequest, int, ImmutableArray<Candidate[]>, JsonObject> tell)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context, read, tell).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context, Func<RequestBody, EncoderRequest?> read, Func<EncoderRequest, int, ImmutableArray<Candidate[]>, JsonObject> tell)
    {
        var (understood, error) = await json.ReadAsync(context, read).ConfigureAwait(false);
        using var request = understood;
        if (request is null) return error;
        if (request.Model.Guardrails.Any) return ApiError.Unsupported("model", "the server filters its answers, and scores would show what is filtered.");

        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        EncoderText[] texts = [.. request.Inputs.Select(input => new EncoderText(input, request.Candidates, cancel.Token))];
        var admission = request.Model.Engine.Submit(texts);
        if (admission != Admission.Accepted) return admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead();
        try
        {
            var found = await Task.WhenAll(texts.Select(text => text.Found)).WaitAsync(options.RequestTimeout, time, context.RequestAborted).ConfigureAwait(false);
            Charge(context, request.Tokens);
            await JsonResponse.WriteAsync(context, Answer(request, found, tell)).ConfigureAwait(false);
            return null;
        }
        catch (TimeoutException)
        {
            return ApiError.Late();
        }
        finally
        {
            await cancel.CancelAsync().ConfigureAwait(false);
        }
    }

    private static void Charge(HttpContext context, int tokens)
    {
        Caller.Of(context).Quota?.Charge(tokens);
        RequestRecord.Of(context).Usage = new Usage(tokens, 0, 0);
    }

    private static JsonObject Answer(EncoderRequest request, ImmutableArray<Candidate[]>[] found, Func<EncoderRequest, int, ImmutableArray<Candidate[]>, JsonObject> tell) => new()
    {
        ["object"] = "list",
        ["model"] = request.Lease.Description.Id,
        ["data"] = new JsonArray([.. found.Select((answer, index) => tell(request, index, answer))]),
        ["usage"] = new JsonObject { ["prompt_tokens"] = request.Tokens, ["total_tokens"] = request.Tokens },
    };
}
