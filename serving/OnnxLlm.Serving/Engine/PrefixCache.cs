namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Which beginnings of sequences are kept beside the slots, so that a prompt which begins like one of them is not read again. It keeps the books, in
/// bytes; the runner keeps keys and values. The least recently used go first. Sequences with different salts never share. What interrupted sequences have read lies
/// in the same memory, before any beginning.
/// </summary>
/// <param name="bytes">At most so much is kept; 0 keeps nothing.</param>
/// <param name="size">Bytes that so many positions take.</param>
/// <param name="shortest">Fewer tokens are not worth a copy.</param>
internal sealed class PrefixCache(long bytes, Func<int, long> size, int shortest)
{
    private readonly LinkedList<Entry> _entries = [];       // most recently used first
    private int _nextId;
    private long _lent;

    private sealed record Entry(int Id, int[] Tokens, string? Salt);

    /// <summary>Bytes in use.</summary>
    public long Bytes { get; private set; }

    public int Shortest => shortest;

    /// <summary>A number for an entry that is kept for other reasons; it does not count here.</summary>
    public int NextId() => _nextId++;

    /// <summary>The entry that shares most with <paramref name="tokens"/>, and how many tokens; (−1, 0) if none is worth it.</summary>
    public (int Entry, int Length) Find(ReadOnlySpan<int> tokens, string? salt)
    {
        var (best, length) = (default(LinkedListNode<Entry>), shortest - 1);
        for (var node = _entries.First; node is not null; node = node.Next)
        {
            if (node.Value.Salt != salt) continue;
            var common = tokens.CommonPrefixLength(node.Value.Tokens);
            if (common > length) (best, length) = (node, common);
        }

        if (best is null) return (-1, 0);
        Touch(best);
        return (best.Value.Id, length);
    }

    /// <summary>Decides what keeping the contents of <paramref name="slot"/> takes: nothing, where all of it is known or it does not fit.</summary>
    public void Keep(int slot, ReadOnlySpan<int> tokens, string? salt, List<Transfer> transfers)
    {
        var taken = size(tokens.Length);
        if (tokens.Length < shortest || taken > bytes - _lent || IsKnown(tokens, salt)) return;
        DropBeginningsOf(tokens, salt, transfers);
        MakeRoom(taken, transfers);
        var entry = new Entry(NextId(), tokens.ToArray(), salt);
        _entries.AddFirst(entry);
        Bytes += taken;
        transfers.Add(Transfer.Save(slot, entry.Id, tokens.Length));
    }

    /// <summary>Takes memory for so many positions of a sequence that loses its slot; false where it would not fit even if no beginning was kept.</summary>
    public bool TryLend(int length, List<Transfer> transfers)
    {
        var taken = size(length);
        if (taken > bytes - _lent) return false;
        MakeRoom(taken, transfers);
        _lent += taken;
        Bytes += taken;
        return true;
    }

    /// <summary>The sequence has a slot again, or has gone.</summary>
    public void TakeBack(int length)
    {
        _lent -= size(length);
        Bytes -= size(length);
    }

    public void Clear(List<Transfer> transfers)
    {
        while (_entries.Last is { } last) Drop(last, transfers);
    }

    private void MakeRoom(long taken, List<Transfer> transfers)
    {
        while (Bytes + taken > bytes) Drop(_entries.Last!, transfers);
    }

    private bool IsKnown(ReadOnlySpan<int> tokens, string? salt)
    {
        for (var node = _entries.First; node is not null; node = node.Next)
        {
            if (node.Value.Salt != salt || !node.Value.Tokens.AsSpan().StartsWith(tokens)) continue;
            Touch(node);
            return true;
        }

        return false;
    }

    /// <summary>Shorter entries that the new one contains.</summary>
    private void DropBeginningsOf(ReadOnlySpan<int> tokens, string? salt, List<Transfer> transfers)
    {
        for (var node = _entries.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.Salt == salt && tokens.StartsWith(node.Value.Tokens)) Drop(node, transfers);
            node = next;
        }
    }

    private void Touch(LinkedListNode<Entry> node)
    {
        _entries.Remove(node);
        _entries.AddFirst(node);
    }

    private void Drop(LinkedListNode<Entry> node, List<Transfer> transfers)
    {
        _entries.Remove(node);
        Bytes -= size(node.Value.Tokens.Length);
        transfers.Add(Transfer.Drop(node.Value.Id));
    }
}
