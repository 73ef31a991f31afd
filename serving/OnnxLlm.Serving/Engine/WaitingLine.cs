namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Sequences that wait for a slot. The most urgent come first; among equally urgent ones the client that has been given the fewest tokens so far, so
/// that one with many requests cannot keep out the others; and of one client's, the oldest. What was interrupted goes before what has not begun.
/// </summary>
/// <remarks>
/// Start-time fair queueing: what a client was given counts from the moment it comes to wait, so that nobody is repaid for time spent away.
/// </remarks>
internal sealed class WaitingLine
{
    private const int KeysToRemember = 1024;

    private readonly List<Sequence> _waiting = [];          // in order of arrival
    private readonly Dictionary<string, long> _given = new(StringComparer.Ordinal);
    private long _floor;

    public int Count => _waiting.Count;

    public void Add(Sequence sequence)
    {
        if (_waiting.TrueForAll(other => other.Key != sequence.Key)) _given[sequence.Key] = Math.Max(Given(sequence.Key), _floor);
        _waiting.Add(sequence);
    }

    /// <summary>Who comes in next, or null.</summary>
    public Sequence? Next()
    {
        Sequence? next = null;
        foreach (var sequence in _waiting)
            if (next is null || IsBefore(sequence, next)) next = sequence;
        return next;
    }

    /// <summary>It gets its slot, and its client's account is charged.</summary>
    public void Take(Sequence sequence)
    {
        _waiting.Remove(sequence);
        if (sequence.SwappedTo is not null) return;         // it has been charged before
        _floor = Given(sequence.Key);
        _given[sequence.Key] = _floor + sequence.Prompt.Length + sequence.MaxTokens;
        if (_given.Count > KeysToRemember) Forget();
    }

    public int RemoveAll(Predicate<Sequence> match) => _waiting.RemoveAll(match);

    public IReadOnlyList<Sequence> TakeAll()
    {
        Sequence[] all = [.. _waiting];
        _waiting.Clear();
        return all;
    }

    private bool IsBefore(Sequence a, Sequence b)
    {
        if (a.Priority != b.Priority) return a.Priority > b.Priority;
        if (a.SwappedTo is null != b.SwappedTo is null) return a.SwappedTo is not null;
        return Given(a.Key) < Given(b.Key);
    }

    private long Given(string key) => _given.GetValueOrDefault(key);

    private void Forget()
    {
        foreach (var key in _given.Keys.Where(key => _waiting.TrueForAll(sequence => sequence.Key != key)).ToArray()) _given.Remove(key);
    }
}
