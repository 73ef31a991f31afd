namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Which sequence lives in which key/value slot. The first <see cref="Decoding"/> slots are those decoded together, without a hole;
/// behind them sits at most one sequence whose prompt is being read. It owns the numbering, not the memory.
/// </summary>
internal sealed class KvCachePool(int slots)
{
    private readonly List<Sequence> _occupants = [];
    private Sequence[]? _decoded;

    public int Slots => slots;

    public int Count => _occupants.Count;

    /// <summary>Slots 0 … Decoding−1 have their whole prompt.</summary>
    public int Decoding { get; private set; }

    public Sequence? Filling => Count > Decoding ? _occupants[Decoding] : null;

    /// <summary>A new sequence may come in when no other prompt is being read and a slot is free.</summary>
    public bool HasRoom => Filling is null && Count < slots;

    public IReadOnlyList<Sequence> Occupants => _occupants;

    /// <summary>Positions that hold keys and values.</summary>
    public long Held
    {
        get
        {
            long held = 0;
            for (var i = 0; i < _occupants.Count; i++) held += _occupants[i].Past;
            return held;
        }
    }

    /// <summary>Those of the first <see cref="Decoding"/> slots, in order; the same object until they change.</summary>
    public IReadOnlyList<Sequence> Decoded => _decoded ??= [.. _occupants.Take(Decoding)];

    /// <summary>The occupants of which something is true.</summary>
    public Sequence[] FindAll(Predicate<Sequence> match) => _occupants.Exists(match) ? [.. _occupants.FindAll(match)] : [];

    public int SlotOf(Sequence sequence) => _occupants.IndexOf(sequence);

    public void Add(Sequence sequence)
    {
        if (!HasRoom) throw new ServingException("The key/value pool has no room for another sequence.");
        _occupants.Add(sequence);
    }

    /// <summary>The prompt being read is complete: its sequence joins the decoded ones, in the slot it already has.</summary>
    public void Promote()
    {
        Decoding++;
        _decoded = null;
    }

    /// <summary>Frees the slot of <paramref name="sequence"/> and lists the copies that close the hole.</summary>
    public IEnumerable<Transfer> Remove(Sequence sequence)
    {
        _decoded = null;
        var hole = _occupants.IndexOf(sequence);
        var moves = new List<Transfer>();
        if (hole < Decoding)
        {
            Decoding--;
            hole = Close(hole, Decoding, moves);
        }

        Close(hole, Count - 1, moves);
        _occupants.RemoveAt(Count - 1);
        return moves;
    }

    public void Clear()
    {
        _occupants.Clear();
        (Decoding, _decoded) = (0, null);
    }

    /// <summary>Moves the occupant of <paramref name="last"/> into the hole; the hole is then there.</summary>
    private int Close(int hole, int last, List<Transfer> moves)
    {
        if (hole == last) return hole;
        _occupants[hole] = _occupants[last];
        moves.Add(Transfer.Copy(last, hole));
        return last;
    }
}
