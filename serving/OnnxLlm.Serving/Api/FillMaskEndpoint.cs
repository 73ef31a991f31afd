using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/fill-mask</c>: for each mask of each text, the likeliest tokens, as Hugging Face's task of that name tells them.</summary>
internal sealed class FillMaskEndpoint(ModelRegistry registry, JsonBody json, ServerOptions options, Drain drain)
{
    public async Task FillAsync(HttpContext context)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context)
    {
        var (understood, error) = await json.ReadAsync(context, body => FillMaskRequest.Read(body, registry, options.Limits)).ConfigureAwait(false);
        using var request = understood;
        if (request is null) return error;
        if (request.Model.Guardrails.Any) return ApiError.Unsupported("model", "the server filters its answers, and scores would show what is filtered.");

        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        MaskedText[] texts = [.. request.Inputs.Select(input => new MaskedText(input, request.Candidates, cancel.Token))];
        var admission = request.Model.Engine.Submit(texts);
        if (admission != Admission.Accepted) return admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead();
        try
        {
            var found = await Task.WhenAll(texts.Select(text => text.Found)).WaitAsync(context.RequestAborted).ConfigureAwait(false);
            Charge(context, request.Tokens);
            await JsonResponse.WriteAsync(context, Answer(request, found)).ConfigureAwait(false);
        }
        finally
        {
            await cancel.CancelAsync().ConfigureAwait(false);
        }

        return null;
    }

    private static void Charge(HttpContext context, int tokens)
    {
        Caller.Of(context).Quota?.Charge(tokens);
        RequestRecord.Of(context).Usage = new Usage(tokens, 0, 0);
    }

    private static JsonObject Answer(FillMaskRequest request, ImmutableArray<Candidate[]>[] found) => new()
    {
        ["object"] = "list",
        ["model"] = request.Lease.Description.Id,
        ["data"] = new JsonArray([.. request.Inputs.Select((input, index) => new JsonObject
        {
            ["object"] = "fill-mask",
            ["index"] = index,
            ["masks"] = new JsonArray([.. input.Places.Select((place, i) => Mask(request.Lease.Description.Tokenizer, input, place, found[index][i]))]),
        })]),
        ["usage"] = new JsonObject { ["prompt_tokens"] = request.Tokens, ["total_tokens"] = request.Tokens },
    };

    private static JsonArray Mask(Tokenizer tokenizer, EncoderInput input, int place, Candidate[] candidates) => new([.. candidates.Select(candidate => new JsonObject
    {
        ["score"] = candidate.Probability,
        ["token"] = candidate.Token,
        ["token_str"] = tokenizer.Decode([candidate.Token], skipSpecial: false),
        ["sequence"] = tokenizer.Decode(input.Tokens.SetItem(place, candidate.Token).AsSpan(), skipSpecial: false),
    })]);
}
