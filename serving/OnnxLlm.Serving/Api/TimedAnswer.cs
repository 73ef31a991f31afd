using System.Runtime.CompilerServices;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>An answer that has to be complete in time, or fails.</summary>
/// <param name="late">Set when the time is over.</param>
internal sealed class TimedAnswer(Answer answer, CancellationToken late) : Answer
{
    /// <summary>Without a limit, which is the usual, nothing lies between a token and its client.</summary>
    /// <param name="limit">The time.</param>
    /// <param name="late">Set when it is over.</param>
    public static Answer Within(TimeSpan limit, Answer answer, CancellationToken late) => limit == Timeout.InfiniteTimeSpan
        ? answer
        : new TimedAnswer(answer, late) { Seed = answer.Seed, Choices = answer.Choices, CacheState = answer.CacheState };

    public override IEnumerable<FinishReason> Finishes => answer.Finishes;

    public override IEnumerable<SequenceTimes> Times => answer.Times;

    public override Usage Usage => answer.Usage;

    public override async IAsyncEnumerable<ChoiceDelta> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, late);
        await using var deltas = answer.ReadAsync(either.Token).GetAsyncEnumerator(either.Token);
        while (await NextAsync(deltas).ConfigureAwait(false)) yield return deltas.Current;
    }

    public override void Nudge() => answer.Nudge();

    public override void Dispose() => answer.Dispose();

    private async ValueTask<bool> NextAsync(IAsyncEnumerator<ChoiceDelta> deltas)
    {
        try
        {
            return await deltas.MoveNextAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            throw new AnswerException(ApiError.Late());
        }
    }
}
