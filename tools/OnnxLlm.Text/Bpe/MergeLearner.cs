namespace OnnxLlm.Text.Bpe;

/// <summary>
/// The inner work of BPE training: the words as lists of tokens, the count of every pair of neighbours, and for each pair the words
/// that may hold it. A merge touches only those words and updates only the counts next to it. A heap holds the pairs by count; since
/// counts mostly fall, an entry whose count is out of date is put back with the true one when it surfaces.
/// </summary>
internal sealed class MergeLearner
{
    private readonly int _firstId;
    private readonly int[] _symbols;
    private readonly Word[] _words;
    private readonly Dictionary<Pair, Occurrences> _pairs = [];
    private readonly PriorityQueue<Pair, Candidate> _queue = new();
    private readonly HashSet<Pair> _risen = [];
    private readonly List<byte[]> _tokens = [.. ByteAlphabet.InOrder.Select(b => new[] { b })];
    private readonly Dictionary<byte[], int> _idOfToken = new(new ByteComparer());
    private readonly List<Merge> _merges = [];

    /// <param name="words">Each with its count.</param>
    /// <param name="firstId">The id of the first of the 256 bytes.</param>
    public MergeLearner(IReadOnlyDictionary<byte[], long> words, int firstId)
    {
        _firstId = firstId;
        _symbols = new int[words.Keys.Sum(word => word.Length)];
        _words = new Word[words.Count];
        for (int i = 0; i < _tokens.Count; i++)
            _idOfToken[_tokens[i]] = firstId + i;
        Place(words);
        CountPairs();
    }

    /// <summary>The tokens by id, from the first byte on.</summary>
    public IReadOnlyList<byte[]> Tokens => _tokens;

    public int TokenCount => _tokens.Count;

    public IReadOnlyList<Merge> Merges => _merges;

    /// <summary>Merges the most frequent pair; false where none occurs <paramref name="minimumCount"/> times.</summary>
    public bool MergeNext(int minimumCount)
    {
        if (Dequeue(minimumCount) is not { } pair)
            return false;
        _pairs.Remove(pair, out var occurrences);
        int result = IdOf([.. Token(pair.Left), .. Token(pair.Right)]);
        _merges.Add(new Merge(pair.Left, pair.Right, result));
        foreach (int word in occurrences!.Words)
            MergeIn(word, pair, result);
        foreach (var risen in _risen)
            _queue.Enqueue(risen, new Candidate(_pairs[risen].Count, risen));
        _risen.Clear();
        return true;
    }

    private void Place(IReadOnlyDictionary<byte[], long> words)
    {
        int start = 0, index = 0;
        foreach (var (word, count) in words)
        {
            for (int i = 0; i < word.Length; i++)
                _symbols[start + i] = _idOfToken[[word[i]]];
            _words[index++] = new Word(start, word.Length, count);
            start += word.Length;
        }
    }

    private void CountPairs()
    {
        for (int word = 0; word < _words.Length; word++)
        {
            var (start, length, count) = _words[word];
            for (int i = start + 1; i < start + length; i++)
                Raise(new Pair(_symbols[i - 1], _symbols[i]), count, word);
        }
        foreach (var (pair, occurrences) in _pairs)
            _queue.Enqueue(pair, new Candidate(occurrences.Count, pair));
        _risen.Clear();
    }

    private Pair? Dequeue(int minimumCount)
    {
        while (_queue.TryDequeue(out var pair, out var candidate))
        {
            if (!_pairs.TryGetValue(pair, out var occurrences) || occurrences.Count < Math.Max(1, minimumCount))
                continue;
            if (occurrences.Count == candidate.Count)
                return pair;
            _queue.Enqueue(pair, new Candidate(occurrences.Count, pair));
        }
        return null;
    }

    private ReadOnlySpan<byte> Token(int id) => _tokens[id - _firstId];

    /// <summary>Two pairs may spell one token; the later then merges into the id that the earlier made.</summary>
    private int IdOf(byte[] token)
    {
        if (_idOfToken.TryAdd(token, _firstId + _tokens.Count))
            _tokens.Add(token);
        return _idOfToken[token];
    }

    private void MergeIn(int index, Pair pair, int result)
    {
        ref var word = ref _words[index];
        var symbols = _symbols.AsSpan(word.Start, word.Length);
        int length = 0;
        for (int i = 0; i < symbols.Length; i++)
        {
            if (i + 1 == symbols.Length || symbols[i] != pair.Left || symbols[i + 1] != pair.Right)
            {
                symbols[length++] = symbols[i];
                continue;
            }
            i++;
            if (length > 0)
                Replace(new Pair(symbols[length - 1], pair.Left), new Pair(symbols[length - 1], result), word.Count, index);
            if (i + 1 < symbols.Length)
                Replace(new Pair(pair.Right, symbols[i + 1]), new Pair(result, symbols[i + 1]), word.Count, index);
            symbols[length++] = result;
        }
        word.Length = length;
    }

    private void Replace(Pair old, Pair replacement, long count, int word)
    {
        if (_pairs.TryGetValue(old, out var occurrences))   // absent where it is the very pair being merged
            occurrences.Count -= count;
        Raise(replacement, count, word);
    }

    private void Raise(Pair pair, long count, int word)
    {
        if (!_pairs.TryGetValue(pair, out var occurrences))
            _pairs[pair] = occurrences = new Occurrences();
        occurrences.Count += count;
        if (occurrences.Words.Count == 0 || occurrences.Words[^1] != word)
            occurrences.Words.Add(word);
        _risen.Add(pair);
    }

    private record struct Word(int Start, int Length, long Count);

    private readonly record struct Pair(int Left, int Right);

    private readonly record struct Candidate(long Count, Pair Pair) : IComparable<Candidate>
    {
        public int CompareTo(Candidate other) => Count != other.Count ? other.Count.CompareTo(Count)
            : Pair.Left != other.Pair.Left ? Pair.Left.CompareTo(other.Pair.Left) : Pair.Right.CompareTo(other.Pair.Right);
    }

    private sealed class Occurrences
    {
        public long Count { get; set; }

        /// <summary>Words that hold the pair, or did.</summary>
        public List<int> Words { get; } = [];
    }
}
