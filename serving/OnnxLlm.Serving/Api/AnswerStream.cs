namespace OnnxLlm.Serving.Api;

/// <summary>Sends an answer as events while it is made: what is there leaves before anything is waited for, and a client that hears nothing for long gets a sign of life.</summary>
internal static class AnswerStream
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(5);

    /// <param name="append">Adds the events of a piece to the stream.</param>
    public static async Task SendAsync(SseStream stream, Answer answer, Action<ChoiceDelta> append, TimeProvider time, CancellationToken aborted)
    {
        await using var deltas = answer.ReadAsync(aborted).GetAsyncEnumerator(aborted);
        await using var pulse = time.CreateTimer(_ => Nudge(stream, answer), null, Silence, Silence).ConfigureAwait(false);
        while (await NextAsync(stream, deltas).ConfigureAwait(false))
        {
            if (deltas.Current.IsEmpty) stream.AppendSignOfLife();
            else append(deltas.Current);
        }

        await stream.FlushAsync().ConfigureAwait(false);
    }

    /// <summary>The next delta. If there is none yet, what has been written leaves.</summary>
    private static ValueTask<bool> NextAsync(SseStream stream, IAsyncEnumerator<ChoiceDelta> deltas)
    {
        var next = deltas.MoveNextAsync();
        return next.IsCompleted ? next : WaitAsync(stream, next);
    }

    private static async ValueTask<bool> WaitAsync(SseStream stream, ValueTask<bool> next)
    {
        await stream.FlushAsync().ConfigureAwait(false);
        return await next.ConfigureAwait(false);
    }

    /// <summary>Twice without an event between: the client gets a sign of life, from whoever reads the answer.</summary>
    private static void Nudge(SseStream stream, Answer answer)
    {
        if (stream.WasSilent()) answer.Nudge();
    }
}
