using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace OnnxLlm.Text.Bpe;

/// <summary>Remembers the tokens of pieces already seen: text repeats its words. Safe for several threads, bounded in entries and bytes.</summary>
internal sealed class PieceCache
{
    private const int MaximumEntries = 1 << 16;
    private const int MaximumLength = 64;

    private readonly ConcurrentDictionary<byte[], int[]> _entries = new(new ByteComparer());
    private readonly ConcurrentDictionary<byte[], int[]>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private int _count;

    public PieceCache() => _lookup = _entries.GetAlternateLookup<ReadOnlySpan<byte>>();

    public bool TryGet(ReadOnlySpan<byte> piece, [NotNullWhen(true)] out int[]? ids) => _lookup.TryGetValue(piece, out ids);

    /// <summary>When full it starts over: cheaper than tracking use, and the common words are back at once.</summary>
    public void Add(ReadOnlySpan<byte> piece, int[] ids)
    {
        if (piece.Length > MaximumLength)
            return;
        if (Interlocked.Increment(ref _count) > MaximumEntries)
        {
            _entries.Clear();
            Volatile.Write(ref _count, 0);
        }
        _lookup.TryAdd(piece, ids);
    }
}
