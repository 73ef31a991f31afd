using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Brings a caller's request to its answer: from the cache, or from the engine if that takes it in.</summary>
internal sealed class Generation(LoadedModel model, Caller caller)
{
    /// <param name="mayCache">The client allows an answer from the cache, and its own answer to be kept.</param>
    /// <param name="aborted">Set when the client goes away.</param>
    /// <returns>An answer to read and dispose, or the reason why there is none.</returns>
    public (Answer? Answer, ApiError? Error) Start(GenerationRequest request, bool mayCache, CancellationToken aborted)
    {
        model.Metrics.RequestChoices.Observe(request.Choices);
        model.Metrics.RequestMaxTokens.Observe(request.AnswerTokens(request.Prompts[0], model.Description.Context));
        var key = mayCache ? model.Cache.Key(request) : null;
        if (key is not null && model.Cache.Find(key) is { } cached) return (Replay(request, cached), null);

        var answer = new LiveAnswer(request, model.Description, caller, model.Metrics, aborted)
        {
            Seed = (long)request.Sampling.Seed,
            Choices = request.Prompts.Length * request.Choices,
            CacheState = key is null ? null : "miss",
            Completed = key is null ? null : whole => model.Cache.Store(key, whole),
        };
        var admission = model.Engine.Submit(answer.Sequences);
        answer.IsAdmitted = admission == Admission.Accepted;
        if (answer.IsAdmitted) return (answer, null);
        answer.Dispose();
        return (null, admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead());
    }

    private ReplayedAnswer Replay(GenerationRequest request, CachedAnswer cached)
    {
        foreach (var delta in cached.Deltas)
            if (delta.Finish is { } reason) model.Metrics.Requests.Add(1, Words.Of(reason));
        return new ReplayedAnswer(cached) { Seed = (long)request.Sampling.Seed, Choices = request.Prompts.Length * request.Choices, CacheState = "hit" };
    }
}
