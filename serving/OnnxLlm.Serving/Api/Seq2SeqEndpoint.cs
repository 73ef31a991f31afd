using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/seq2seq</c>: for each text the one that the model writes for it.</summary>
internal sealed class Seq2SeqEndpoint(ModelRegistry registry, JsonBody json, ServerOptions options, Drain drain, Entropy entropy, TimeProvider time)
{
    public async Task WriteAsync(HttpContext context)
    {
        using var place = drain.TryEnter();
        var error = place is null ? ApiError.Draining() : await AnswerAsync(context).ConfigureAwait(false);
        if (error is not null) await error.WriteAsync(context).ConfigureAwait(false);
    }

    /// <returns>Why there is no answer, or null when it has been written.</returns>
    private async Task<ApiError?> AnswerAsync(HttpContext context)
    {
        var (understood, error) = await json.ReadAsync(context, body => Seq2SeqRequest.Read(body, registry, options.Limits, entropy.NextSeed)).ConfigureAwait(false);
        using var request = understood;
        if (request is null) return error;
        if (Refusal(request) is { } category) return ApiError.Filtered(category);

        using var limit = new CancellationTokenSource(options.RequestTimeout, time);
        using var answer = Begin(context, request);
        var admission = request.Model.Engine.Submit(answer.Sequences);
        answer.IsAdmitted = admission == Admission.Accepted;
        if (!answer.IsAdmitted) return admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead();
        List<ChoiceDelta> deltas;
        try
        {
            context.Response.Headers["x-seed"] = FormattableString.Invariant($"{answer.Seed}");
            deltas = await TimedAnswer.Within(options.RequestTimeout, answer, limit.Token).ReadAsync(context.RequestAborted).ToListAsync(context.RequestAborted).ConfigureAwait(false);
        }
        finally
        {
            RequestRecord.Of(context).Usage = answer.Usage;
            Caller.Of(context).Quota?.Charge(answer.Usage.PromptTokens + answer.Usage.CompletionTokens);
        }

        await JsonResponse.WriteAsync(context, Whole(request, deltas, answer.Usage)).ConfigureAwait(false);
        return null;
    }

    private static LiveAnswer Begin(HttpContext context, Seq2SeqRequest request)
    {
        var model = request.Model;
        model.Metrics.RequestChoices.Observe(1);
        model.Metrics.RequestMaxTokens.Observe(request.Generation.MaxTokens);
        return new LiveAnswer(request.Generation, model.Description, Caller.Of(context), model.Guardrails, model.Metrics, context.RequestAborted)
        {
            Seed = (long)request.Generation.Sampling.Seed,
            Choices = request.Generation.Prompts.Length,
        };
    }

    private static string? Refusal(Seq2SeqRequest request) => request.Generation.Prompts
        .Select(prompt => request.Model.Guardrails.Refuse(request.Lease.Description.Tokenizer.Decode(prompt.AsSpan()))).FirstOrDefault(found => found is not null);

    private static JsonObject Whole(Seq2SeqRequest request, List<ChoiceDelta> deltas, Usage usage) => new()
    {
        ["object"] = "list",
        ["model"] = request.Lease.Description.Id,
        ["data"] = new JsonArray([.. Enumerable.Range(0, request.Generation.Prompts.Length).Select(index => Text(index, [.. deltas.Where(delta => delta.Choice == index)]))]),
        ["usage"] = new JsonObject { ["prompt_tokens"] = usage.PromptTokens, ["completion_tokens"] = usage.CompletionTokens, ["total_tokens"] = usage.PromptTokens + usage.CompletionTokens },
    };

    private static JsonObject Text(int index, ChoiceDelta[] deltas) => new()
    {
        ["object"] = ModelTask.Seq2Seq,
        ["index"] = index,
        ["text"] = string.Concat(deltas.Select(delta => delta.Text)),
        ["finish_reason"] = Words.Of(deltas[^1].Finish!.Value),
    };
}
