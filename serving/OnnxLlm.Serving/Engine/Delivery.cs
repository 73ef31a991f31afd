namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Hands tokens to the channels of their requests, those of some steps together where steps are short. Writing to a channel wakes its reader, and on few
/// processors that takes time from the next step. A sequence's first token and its end leave at once and take along what waits.
/// Used by the engine's loop alone, which calls <see cref="Flush"/> before anything that may take long.
/// </summary>
internal sealed class Delivery(TimeProvider time, TimeSpan pace)
{
    private readonly Courier _courier = new();
    private readonly List<Sequence> _waiting = [];
    private long _last = time.GetTimestamp();
    private bool _urgent;

    public void Add(Sequence sequence, GeneratedToken token)
    {
        if (sequence.Outbox.Count == 0) _waiting.Add(sequence);
        sequence.Outbox.Add(token);
        _urgent |= sequence.Generated == 1;
    }

    /// <summary>Sends what waits of <paramref name="sequence"/>, and <paramref name="end"/> behind it.</summary>
    public void End(Sequence sequence, SequenceEvent end)
    {
        Send(sequence);
        _waiting.Remove(sequence);
        _courier.Post(sequence.Output, end);
        _courier.Go();
    }

    /// <summary>Sends what waits if a first token is among it, or the last delivery is long enough ago.</summary>
    public void FlushIfDue()
    {
        if (_waiting.Count > 0 && (_urgent || time.GetElapsedTime(_last) >= pace)) Flush();
    }

    public void Flush()
    {
        foreach (var sequence in _waiting) Send(sequence);
        _waiting.Clear();
        _courier.Go();
        (_urgent, _last) = (false, time.GetTimestamp());
    }

    public void Stop() => _courier.Stop();

    private void Send(Sequence sequence)
    {
        var outbox = sequence.Outbox;
        if (outbox.Count == 0) return;
        _courier.Post(sequence.Output, new TokensGenerated(sequence.Choice, [.. outbox]));
        outbox.Clear();
    }
}
