using System.Threading.Channels;

namespace OnnxLlm.Serving.Engine;

/// <summary>Where texts wait that are read whole: requests enter from any thread, each with all of its texts or none; the engine's own thread takes the longest waiting.</summary>
/// <param name="limit">Texts that may wait; more are refused.</param>
internal sealed class WaitingRoom<T>(int limit)
{
    private readonly Channel<IReadOnlyList<T>> _arrivals = Channel.CreateUnbounded<IReadOnlyList<T>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Queue<T> _waiting = new();
    private int _count;

    /// <summary>Texts that wait, those included that the engine has not seen yet.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The engine has seen none.</summary>
    public bool IsEmpty => _waiting.Count == 0;

    /// <param name="texts">All of a request.</param>
    /// <param name="arrived">Called for each before the engine sees it, if there is room for all.</param>
    public Admission Enter(IReadOnlyList<T> texts, Action<T> arrived)
    {
        if (Interlocked.Add(ref _count, texts.Count) > limit)
        {
            Interlocked.Add(ref _count, -texts.Count);
            return Admission.QueueFull;
        }

        foreach (var text in texts) arrived(text);
        return _arrivals.Writer.TryWrite(texts) ? Admission.Accepted : Admission.EngineDead;
    }

    /// <summary>Returns when somebody has come, or nobody will any more.</summary>
    public void WaitForArrivals() => _arrivals.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult();

    public void TakeIn()
    {
        while (_arrivals.Reader.TryRead(out var texts))
            foreach (var text in texts) _waiting.Enqueue(text);
    }

    /// <summary>The longest waiting, as many as there is room for; those whose requests are gone are left out.</summary>
    /// <param name="rows">Texts at most.</param>
    /// <param name="tokens">Tokens at most when all are padded to the longest; one text is taken however long it is.</param>
    /// <param name="length">Tokens of a text.</param>
    /// <param name="isGone">Its request is.</param>
    public List<T> Take(int rows, int tokens, Func<T, int> length, Func<T, bool> isGone)
    {
        var (taken, longest) = (new List<T>(), 0);
        while (taken.Count < rows && _waiting.TryPeek(out var next))
        {
            var padded = Math.Max(longest, length(next));
            if (taken.Count > 0 && (taken.Count + 1) * padded > tokens) break;
            _waiting.Dequeue();
            Interlocked.Decrement(ref _count);
            if (isGone(next)) continue;
            taken.Add(next);
            longest = padded;
        }

        return taken;
    }

    /// <summary>Nobody enters any more.</summary>
    public void Close() => _arrivals.Writer.TryComplete();

    /// <summary>Everybody who still waits, once it is closed.</summary>
    public IReadOnlyList<T> Empty()
    {
        Close();
        TakeIn();
        T[] left = [.. _waiting];
        _waiting.Clear();
        Volatile.Write(ref _count, 0);
        return left;
    }
}
