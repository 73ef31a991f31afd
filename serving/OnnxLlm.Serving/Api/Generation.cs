using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Brings a caller's request to its answer: from the cache, or from the engine if that takes it in.</summary>
internal sealed class Generation(DecoderModel model, Caller caller)
{
    /// <param name="mayCache">The client allows an answer from the cache, and its own answer to be kept.</param>
    /// <param name="aborted">Set when the client goes away.</param>
    /// <returns>An answer to read and dispose, or the reason why there is none.</returns>
    public async ValueTask<(Answer? Answer, ApiError? Error)> StartAsync(GenerationRequest request, bool mayCache, CancellationToken aborted)
    {
        if (Refusal(request) is { } refusal) return (null, refusal);
        model.Metrics.RequestChoices.Observe(request.Choices);
        model.Metrics.RequestMaxTokens.Observe(request.AnswerTokens(request.Prompts[0], model.Description.Context));
        var (key, choices) = (mayCache ? model.Cache.Key(request) : null, request.Prompts.Length * request.Choices);
        if (key is not null && await model.Cache.FindAsync(key, choices).ConfigureAwait(false) is { } cached) return (Replay(request, cached), null);

        var answer = new LiveAnswer(request, model.Description, caller, model.Guardrails, model.Metrics, aborted)
        {
            Seed = (long)request.Sampling.Seed,
            Choices = choices,
            CacheState = key is null ? null : "miss",
            Completed = key is null ? null : whole => model.Cache.Store(key, whole),
        };
        var admission = model.Engine.Submit(answer.Sequences);
        answer.IsAdmitted = admission == Admission.Accepted;
        if (answer.IsAdmitted) return (answer, null);
        answer.Dispose();
        return (null, admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead());
    }

    /// <summary>What the guardrails say about the prompts, whatever form they came in.</summary>
    private ApiError? Refusal(GenerationRequest request)
    {
        if (!model.Guardrails.Any) return null;
        if (request.Alternatives is not null) return ApiError.Unsupported("logprobs", "the server filters its answers, and scores would show what is filtered.");
        var category = request.Prompts.Select(prompt => model.Guardrails.Refuse(model.Description.Tokenizer.Decode(prompt.AsSpan()))).FirstOrDefault(found => found is not null);
        return category is null ? null : ApiError.Filtered(category);
    }

    private ReplayedAnswer Replay(GenerationRequest request, CachedAnswer cached)
    {
        foreach (var delta in cached.Deltas)
            if (delta.Finish is { } reason) model.Metrics.Requests.Add(1, Words.Of(reason));
        return new ReplayedAnswer(cached) { Seed = (long)request.Sampling.Seed, Choices = request.Prompts.Length * request.Choices, CacheState = "hit" };
    }
}
