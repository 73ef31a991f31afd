using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Metrics;

namespace OnnxLlm.Serving.Api;

/// <summary>Brings a request to its answer: from the cache, or from the engine if that takes it in.</summary>
internal sealed class Generation(InferenceEngine engine, ServedModel model, ResponseCache cache, ServingMetrics metrics)
{
    /// <param name="mayCache">The client allows an answer from the cache, and its own answer to be kept.</param>
    /// <param name="aborted">Set when the client goes away.</param>
    /// <returns>An answer to read and dispose, or the reason why there is none.</returns>
    public (Answer? Answer, ApiError? Error) Start(GenerationRequest request, bool mayCache, CancellationToken aborted)
    {
        metrics.RequestChoices.Observe(request.Choices);
        metrics.RequestMaxTokens.Observe(request.AnswerTokens(request.Prompts[0], model.Context));
        var key = mayCache ? cache.Key(request) : null;
        if (key is not null && cache.Find(key) is { } cached) return (Replay(request, cached), null);

        var answer = new LiveAnswer(request, model, metrics, aborted)
        {
            Seed = (long)request.Sampling.Seed,
            Choices = request.Prompts.Length * request.Choices,
            CacheState = key is null ? null : "miss",
            Completed = key is null ? null : whole => cache.Store(key, whole),
        };
        var admission = engine.Submit(answer.Sequences);
        answer.IsAdmitted = admission == Admission.Accepted;
        if (answer.IsAdmitted) return (answer, null);
        answer.Dispose();
        return (null, admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead());
    }

    private ReplayedAnswer Replay(GenerationRequest request, CachedAnswer cached)
    {
        foreach (var delta in cached.Deltas)
            if (delta.Finish is { } reason) metrics.Requests.Add(1, Words.Of(reason));
        return new ReplayedAnswer(cached) { Seed = (long)request.Sampling.Seed, Choices = request.Prompts.Length * request.Choices, CacheState = "hit" };
    }
}
