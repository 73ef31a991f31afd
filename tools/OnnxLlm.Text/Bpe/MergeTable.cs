using System.Runtime.InteropServices;

namespace OnnxLlm.Text.Bpe;

/// <summary>Two neighbouring tokens that become one.</summary>
internal readonly record struct Merge(int Left, int Right, int Result);

/// <summary>The merges of a tokenizer in order of precedence, and the algorithm that applies them to one piece of text.</summary>
internal sealed class MergeTable
{
    private const int NoMerge = int.MaxValue;

    private readonly Merge[] _merges;
    private readonly Dictionary<long, int> _ranks;

    /// <param name="merges">In order of precedence. Of two equal pairs the later is the one that counts, as in Hugging Face's reader.</param>
    public MergeTable(Merge[] merges)
    {
        _merges = merges;
        _ranks = new Dictionary<long, int>(merges.Length);
        for (int rank = 0; rank < merges.Length; rank++)
            _ranks[Key(merges[rank].Left, merges[rank].Right)] = rank;
    }

    public ReadOnlySpan<Merge> InOrder => _merges;

    /// <summary>
    /// The tokens of one piece: starting from its bytes or characters, always applies the merge of lowest rank, leftmost first. Takes n log n steps for
    /// n of them: a queue holds the candidate merges by rank and position, and a linked list holds the symbols.
    /// </summary>
    public int[] Apply(ReadOnlySpan<int> piece)
    {
        var symbols = new Symbol[piece.Length];
        for (int i = 0; i < piece.Length; i++)
            symbols[i] = new Symbol(piece[i], i - 1, i + 1 < piece.Length ? i + 1 : -1);
        var queue = new PriorityQueue<int, long>(piece.Length);
        for (int i = 0; i < symbols.Length; i++)
            Offer(symbols, i, queue);
        int count = symbols.Length;
        while (queue.TryDequeue(out int at, out long priority))
        {
            if (symbols[at].Rank != (int)(priority >> 32))
                continue;   // overtaken by a merge of its neighbour
            MergeAt(symbols, at, queue);
            count--;
        }
        return Collect(symbols, count);
    }

    /// <summary>Notes the merge, if any, of the symbol at <paramref name="at"/> with the one after it.</summary>
    private void Offer(Span<Symbol> symbols, int at, PriorityQueue<int, long> queue)
    {
        ref var symbol = ref symbols[at];
        symbol.Rank = NoMerge;
        if (symbol.Next < 0 || !_ranks.TryGetValue(Key(symbol.Id, symbols[symbol.Next].Id), out int rank))
            return;
        symbol.Rank = rank;
        queue.Enqueue(at, ((long)rank << 32) | (uint)at);
    }

    private void MergeAt(Span<Symbol> symbols, int at, PriorityQueue<int, long> queue)
    {
        ref var left = ref symbols[at];
        ref var right = ref symbols[left.Next];
        left.Id = _merges[left.Rank].Result;
        left.Next = right.Next;
        right.Rank = NoMerge;   // whatever the queue still holds for it is void
        if (left.Next >= 0)
            symbols[left.Next].Previous = at;
        Offer(symbols, at, queue);
        if (left.Previous >= 0)
            Offer(symbols, left.Previous, queue);
    }

    private static int[] Collect(ReadOnlySpan<Symbol> symbols, int count)
    {
        var ids = new int[count];
        for (int i = 0, at = 0; i < count; i++, at = symbols[at].Next)
            ids[i] = symbols[at].Id;
        return ids;
    }

    private static long Key(int left, int right) => ((long)left << 32) | (uint)right;

    [StructLayout(LayoutKind.Auto)]
    private struct Symbol(int id, int previous, int next)
    {
        public int Id = id;
        public int Previous = previous;
        public int Next = next;
        public int Rank = NoMerge;
    }
}
