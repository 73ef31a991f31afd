namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Decides what each step does: who comes in, which piece of which prompt is read, who is decoded, who must make room, who has ended.
/// It owns the waiting line, the pool and the books of the prefix cache. It knows no time, no thread, no model and no client: the same calls always
/// give the same plans.
/// </summary>
/// <remarks>
/// One prompt is read at a time, a chunk between two decodes, so that it delays nobody by more than a chunk. What another sequence has read already, be it
/// running (as with n > 1) or gone, is copied. A more urgent sequence takes the slot of a less urgent one, whose keys and values wait
/// beside the slots, so that its answer stays what it would have been.
/// </remarks>
internal sealed class Scheduler(int slots, int prefillChunk, PrefixCache? prefixes = null)
{
    private readonly KvCachePool _pool = new(slots);
    private readonly WaitingLine _line = new();
    private readonly PrefixCache _prefixes = prefixes ?? new(0, _ => 0, int.MaxValue);
    private readonly List<Transfer> _transfers = [];
    private readonly List<Sequence> _gone = [];
    private Predicate<Sequence>? _abandon;
    private StepPlan _again = new([], null, []);
    private int _swapped;

    public int Waiting => _line.Count;

    public int Running => _pool.Count;

    /// <summary>Positions that hold keys and values of sequences in slots.</summary>
    public long Held => _pool.Held;

    /// <summary>Sequences are here, or what those that have ended leave to do: while nobody asks is the best time to keep it.</summary>
    public bool HasWork => Waiting > 0 || Running > 0 || _transfers.Count > 0;

    /// <summary>Sequences decoded in the next step.</summary>
    public int Decoding => _pool.Decoding;

    /// <summary>Tokens to read of the prompt that is being read, or else of the next one: all but those that are copied.</summary>
    public int Reading => (_pool.Filling ?? (_pool.HasRoom ? _line.Next() : null)) is { } next ? next.Prompt.Length - next.Shared : 0;

    /// <summary>Sequences that wait behind that prompt.</summary>
    public int Behind => _pool.Filling is null ? Math.Max(0, Waiting - 1) : Waiting;

    /// <summary>Prompt tokens of the next chunk, at most; 0: the next step decodes and does nothing else.</summary>
    public int PrefillChunk { get; set; } = prefillChunk;

    /// <summary>Sequences that may hold a slot; those that do already may stay.</summary>
    public int Limit { get; set; } = slots;

    /// <summary>Tokens guessed ahead, at most; 0 for none.</summary>
    public int Speculation { get; init; }

    /// <summary>Prompts that are scored are read in chunks like others; otherwise token by token.</summary>
    public bool ScoresChunks { get; init; } = true;

    /// <summary>Sequences that had to make room so far.</summary>
    public long Preemptions { get; private set; }

    /// <summary>Sequences that the last plan found cancelled.</summary>
    public IReadOnlyList<Sequence> Gone => _gone;

    public void Enqueue(Sequence sequence) => _line.Add(sequence);

    /// <summary>The next step. Cancelled sequences are gone from it, their slots free.</summary>
    public StepPlan Plan()
    {
        _gone.Clear();
        _line.RemoveAll(_abandon ??= Abandon);
        _gone.AddRange(Retire(sequence => sequence.Cancelled.IsCancellationRequested));
        Admit();
        var chunk = NextChunk();
        var draft = chunk is null && PrefillChunk > 0 ? Guess() : [];
        return _transfers.Count == 0 && chunk is null && draft.Length == 0 ? Again() : Take(chunk, draft);
    }

    /// <summary>Takes over what the step did: positions written, tokens chosen. Sequences that end free their slots here.</summary>
    /// <returns>The sequences that ended.</returns>
    public IReadOnlyList<Sequence> Commit(StepPlan plan, IReadOnlyList<Sample> samples)
    {
        for (var i = 0; i < plan.Decode.Count; i++) plan.Decode[i].Advance(plan.Draft.Length == 0 ? 1 : samples.Count);
        if (plan.Prefill is { } chunk) Commit(chunk);
        for (var i = 0; i < samples.Count; i++) samples[i].Sequence.Append(samples[i].Token);
        return Retire(sequence => sequence.IsOver);
    }

    /// <summary>
    /// Forgets the sequences that hold a slot, and all beginnings that are kept, after a fault that left the cache unknown. What was to be dropped still is: nobody else
    /// remembers it.
    /// </summary>
    /// <param name="failed">The step of the fault; how much of it was done is unknown. Dropping twice does no harm.</param>
    public IReadOnlyList<Sequence> TakeRunning(StepPlan? failed = null)
    {
        Sequence[] running = [.. _pool.Occupants];
        _pool.Clear();
        _transfers.RemoveAll(transfer => transfer.Kind != TransferKind.Drop);
        if (failed is not null) _transfers.AddRange(failed.Transfers.Where(transfer => transfer.Kind == TransferKind.Drop));
        _prefixes.Clear(_transfers);
        return running;
    }

    /// <summary>Drops all beginnings that are kept.</summary>
    public void ForgetPrefixes() => _prefixes.Clear(_transfers);

    /// <summary>Empties the waiting line.</summary>
    public IReadOnlyList<Sequence> TakeWaiting() => _line.TakeAll();

    private StepPlan Take(PrefillChunk? chunk, int[] draft)
    {
        var plan = new StepPlan([.. _transfers], chunk, _pool.Decoded) { Draft = draft };
        _transfers.Clear();
        return plan;
    }

    /// <summary>Nearly every step is like the one before: the same sequences get a token each. It needs no plan of its own.</summary>
    private StepPlan Again()
    {
        var decoded = _pool.Decoded;
        return _again.Decode == decoded ? _again : _again = new StepPlan([], null, decoded);
    }

    private void Commit(PrefillChunk chunk)
    {
        chunk.Sequence.Advance(chunk.Length);
        if (!chunk.IsLast) return;
        _pool.Promote();
        if (chunk.Sequence.MaxTokens == 0) chunk.Sequence.FinishPrompt();
    }

    private void Admit()
    {
        if (_line.Next() is not { } next || _pool.Filling is not null) return;
        if (_pool.Count >= Limit && !MakeRoomFor(next)) return;
        _line.Take(next);
        _pool.Add(next);
        if (next.SwappedTo is { } entry) Resume(next, entry);
        else if (!next.ReadsAll) Share(next);
    }

    /// <summary>Interrupts the least urgent sequence, of several the youngest, if it is less urgent than <paramref name="next"/> and there is memory for what it has read.</summary>
    private bool MakeRoomFor(Sequence next)
    {
        if (_pool.Decoding == 0 || _pool.Count > Limit || _swapped >= _pool.Slots) return false;
        var victim = _pool.Decoded.Reverse().MinBy(sequence => sequence.Priority)!;
        if (victim.Priority >= next.Priority || !_prefixes.TryLend(victim.Past, _transfers)) return false;
        victim.SwappedTo = _prefixes.NextId();
        _transfers.Add(Transfer.Save(_pool.SlotOf(victim), victim.SwappedTo.Value, victim.Past));
        _transfers.AddRange(_pool.Remove(victim));
        _line.Add(victim);
        Preemptions++;
        _swapped++;
        return true;
    }

    private void Resume(Sequence sequence, int entry)
    {
        _transfers.Add(Transfer.Load(entry, _pool.SlotOf(sequence), sequence.Past));
        _transfers.Add(Transfer.Drop(entry));
        sequence.SwappedTo = null;
        TakeBack(sequence);
        _pool.Promote();
    }

    private bool Abandon(Sequence sequence)
    {
        if (!sequence.Cancelled.IsCancellationRequested) return false;
        _gone.Add(sequence);
        if (sequence.SwappedTo is not { } entry) return true;
        _transfers.Add(Transfer.Drop(entry));
        TakeBack(sequence);
        return true;
    }

    private void TakeBack(Sequence sequence)
    {
        _prefixes.TakeBack(sequence.Past);
        _swapped--;
    }

    /// <summary>Copies the longest beginning that is there already. The last token is read anyhow: its scores choose the first one of the answer.</summary>
    private void Share(Sequence sequence)
    {
        var tokens = sequence.Tokens[..^1];
        var slot = _pool.SlotOf(sequence);
        var (source, live) = Running == 1 ? (-1, 0) : LongestAmongRunning(tokens, sequence);
        var (entry, kept) = _prefixes.Find(tokens, sequence.Salt);
        if (Math.Max(live, kept) < _prefixes.Shortest) return;
        _transfers.Add(live >= kept ? Transfer.Copy(source, slot) : Transfer.Load(entry, slot, kept));
        sequence.Share(Math.Max(live, kept));
    }

    private (int Slot, int Length) LongestAmongRunning(ReadOnlySpan<int> tokens, Sequence sequence)
    {
        var (slot, length) = (-1, 0);
        for (var i = 0; i < _pool.Count; i++)
        {
            var other = _pool.Occupants[i];
            if (other == sequence || other.Salt != sequence.Salt) continue;
            var common = tokens.CommonPrefixLength(other.Tokens[..other.Past]);
            if (common > length) (slot, length) = (i, common);
        }

        return (slot, length);
    }

    /// <summary>
    /// Only for a sequence alone: rows decoded together pay for each other already, and the runtime's attention reads several new tokens of one row only.
    /// </summary>
    private int[] Guess()
    {
        if (Speculation == 0 || _pool.Decoding != 1 || _pool.Occupants[0] is not { MayBeGuessed: true } sequence) return [];
        sequence.Draft ??= new Draft(Speculation);
        return sequence.Draft.Propose(sequence.Tokens, sequence.MaxTokens - sequence.Generated - 1);
    }

    private PrefillChunk? NextChunk()
    {
        if (_pool.Filling is not { } sequence || PrefillChunk == 0) return null;
        var chunk = sequence.ScoresPrompt && !ScoresChunks ? 1 : PrefillChunk;
        var length = Math.Min(chunk, sequence.Prompt.Length - sequence.Past);
        return new PrefillChunk(sequence, _pool.Decoding, sequence.Past, length);
    }

    private Sequence[] Retire(Predicate<Sequence> isOver)
    {
        var over = _pool.FindAll(isOver);
        foreach (var sequence in over)
        {
            if (sequence.IsKept) _prefixes.Keep(_pool.SlotOf(sequence), sequence.Tokens[..sequence.Past], sequence.Salt, _transfers);
            _transfers.AddRange(_pool.Remove(sequence));
        }

        return over;
    }
}
