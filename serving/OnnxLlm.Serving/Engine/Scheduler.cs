namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Decides what each step does: who comes in, which piece of which prompt is read, who is decoded, who has ended.
/// It owns the waiting line and the pool. It knows no time, no thread, no model and no client: the same calls always give the same plans.
/// </summary>
/// <remarks>Prompts are read first come, first served, one chunk between two decodes, so a long prompt delays nobody by more than a chunk.</remarks>
internal sealed class Scheduler(int slots, int prefillChunk)
{
    private readonly KvCachePool _pool = new(slots);
    private readonly List<Sequence> _waiting = [];
    private readonly List<SlotMove> _moves = [];

    public int Waiting => _waiting.Count;

    public int Running => _pool.Count;

    public bool HasWork => Waiting > 0 || Running > 0;

    public void Enqueue(Sequence sequence) => _waiting.Add(sequence);

    /// <summary>The next step. Cancelled sequences are gone from it, their slots free.</summary>
    public StepPlan Plan()
    {
        _waiting.RemoveAll(sequence => sequence.Cancelled.IsCancellationRequested);
        Retire(sequence => sequence.Cancelled.IsCancellationRequested);
        Admit();
        var plan = new StepPlan([.. _moves], NextChunk(), [.. _pool.Occupants.Take(_pool.Decoding)]);
        _moves.Clear();
        return plan;
    }

    /// <summary>Takes over what the step did: positions written, tokens chosen. Sequences that end free their slots here.</summary>
    /// <returns>The sequences that ended.</returns>
    public IReadOnlyList<Sequence> Commit(StepPlan plan, IReadOnlyList<Sample> samples)
    {
        foreach (var sequence in plan.Decode) sequence.Advance(1);
        if (plan.Prefill is { } chunk) Commit(chunk);
        foreach (var sample in samples) sample.Sequence.Append(sample.Token);
        return Retire(sequence => sequence.IsOver);
    }

    /// <summary>Forgets the sequences that hold a slot, after a fault that left the cache unknown.</summary>
    public IReadOnlyList<Sequence> TakeRunning()
    {
        Sequence[] running = [.. _pool.Occupants];
        _pool.Clear();
        _moves.Clear();
        return running;
    }

    /// <summary>Empties the waiting line.</summary>
    public IReadOnlyList<Sequence> TakeWaiting()
    {
        Sequence[] waiting = [.. _waiting];
        _waiting.Clear();
        return waiting;
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
        if (Waiting == 0 || !_pool.HasRoom) return;
        _pool.Add(_waiting[0]);
        _waiting.RemoveAt(0);
    }

    private PrefillChunk? NextChunk()
    {
        if (_pool.Filling is not { } sequence) return null;
        var chunk = sequence.ScoresPrompt ? 1 : prefillChunk;
        var length = Math.Min(chunk, sequence.Prompt.Length - sequence.Past);
        return new PrefillChunk(sequence, _pool.Decoding, sequence.Past, length);
    }

    private Sequence[] Retire(Func<Sequence, bool> isOver)
    {
        Sequence[] over = [.. _pool.Occupants.Where(isOver)];
        foreach (var sequence in over) _moves.AddRange(_pool.Remove(sequence));
        return over;
    }
}
