using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>An admitted request: its pieces as they come, then what it cost. Disposing an unfinished one stops its generation.</summary>
internal abstract class Answer : IDisposable
{
    /// <summary>The number that the answer was drawn with, for a repetition.</summary>
    public required long Seed { get; init; }

    /// <summary>hit, miss, or null for what is never cached.</summary>
    public string? CacheState { get; init; }

    /// <summary>Choices in all.</summary>
    public required int Choices { get; init; }

    /// <summary>Why choices ended, in the order in which they did.</summary>
    public abstract IEnumerable<FinishReason> Finishes { get; }

    /// <summary>When what happened to each choice; empty where the engine had nothing to do.</summary>
    public virtual IEnumerable<SequenceTimes> Times => [];

    /// <summary>Known once the pieces are through.</summary>
    public abstract Usage Usage { get; }

    /// <summary>Pieces of all choices, mixed; the last of each choice has its reason.</summary>
    public abstract IAsyncEnumerable<ChoiceDelta> ReadAsync(CancellationToken cancellation);

    /// <summary>Whoever waits for a piece gets an empty one. Any thread may call it.</summary>
    public abstract void Nudge();

    public abstract void Dispose();
}

/// <summary>An answer from the cache.</summary>
internal sealed class ReplayedAnswer(CachedAnswer cached) : Answer
{
    public override Usage Usage => cached.Usage;

    public override IEnumerable<FinishReason> Finishes => cached.Deltas.Select(delta => delta.Finish).OfType<FinishReason>();

    public override IAsyncEnumerable<ChoiceDelta> ReadAsync(CancellationToken cancellation) => cached.Deltas.ToAsyncEnumerable();

    public override void Nudge()
    {
    }

    public override void Dispose()
    {
    }
}
