using OnnxLlm.Graphs.Generation;

namespace OnnxLlm.Runtime;

/// <summary>
/// A loaded generation graph with the key/value cache of a number of slots, each of which holds one sequence. Prompts are read one slot at a time, in
/// pieces of any length; then the first n slots are decoded together, one token each, however long they are; or both in one pass. What a slot answers does not depend on
/// the others. Used by one thread. Returned scores are valid until the next call.
/// </summary>
public sealed class GenerationSession : IDisposable
{
    /// <summary>Tokens that products and attention treat together, at least.</summary>
    private const int FirstPrompt = 32;

    private readonly GenerationModel _model;
    private readonly KeyValueCache _cache;
    private readonly ForwardPasses _passes;
    private readonly int[] _best;
    private int _decoded;

    /// <param name="package">The model.</param>
    /// <param name="slots">Sequences at a time.</param>
    /// <param name="maxLength">Positions of a slot, at most the model's own limit.</param>
    /// <param name="settings">How the session runs.</param>
    /// <param name="mostCacheBytes">Keys and values of all slots take no more than this: there are fewer slots where they would.</param>
    public GenerationSession(ModelPackage package, int slots, int maxLength, SessionSettings settings, long mostCacheBytes = long.MaxValue)
    {
        if (!package.Config.IsDecoder) throw new ModelRuntimeException($"{package.Folder} holds {package.Config.Kind} ({package.Config.ModelType}), which continues no text.");
        if (slots < 1) throw new ModelRuntimeException($"At least 1 slot is needed, got {slots}.");
        if (maxLength < 1 || maxLength > package.Config.MaxPositions)
            throw new ModelRuntimeException($"The length of a slot must be 1 to {package.Config.MaxPositions}, the model's limit; got {maxLength}.");
        _model = GenerationModel.Open(package, settings, maxLength);
        long slot = KeyValueCache.PositionBytes(package.Config, _model.CacheType) * maxLength;
        slots = (int)Math.Min(slots, mostCacheBytes / slot);
        if (slots == 0)
        {
            _model.Dispose();
            throw new ModelRuntimeException(FormattableString.Invariant($"Keys and values of one sequence of {maxLength} tokens take {slot / 1e6:F1} MB, more than the {mostCacheBytes / 1e6:F1} MB that they may take."));
        }
        (Slots, MaxLength, VocabularySize) = (slots, maxLength, package.Config.VocabularySize);
        _cache = new KeyValueCache(package.Config, slots, maxLength, settings.Device, _model.CacheType);
        _passes = _model.IsRagged ? new RaggedPasses(_model, _cache, package.Config, slots, maxLength) : new RowPasses(_model, _cache, package.Config, settings.Device, slots, maxLength);
        _best = new int[slots];
        Width = package.Config.Width;
        try
        {
            RequireFiniteScores(package.Folder, !settings.Device.IsCuda);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int Slots { get; }

    /// <summary>Positions that a slot can hold.</summary>
    public int MaxLength { get; }

    public int VocabularySize { get; }

    /// <summary>Elements of a hidden state.</summary>
    public int Width { get; }

    /// <summary>The graph gives the scores of every token and its hidden states; those of packages from before that give the last token's scores only.</summary>
    public bool GivesAll => _model.Prompts.OptionalInputs.Any(input => input.Name == GenerationGraph.LogitsAt);

    /// <summary>Size of the cache; memory is taken as sequences grow into it.</summary>
    public long CacheBytes => _cache.Bytes;

    /// <summary>Bytes of keys and values per position of a slot.</summary>
    public long BytesPerPosition => _cache.BytesPerPosition;

    /// <summary>Bytes that <see cref="Save"/> takes for so many positions.</summary>
    public long SnapshotBytes(int length) => _cache.SnapshotBytes(length);

    /// <summary>Appends tokens to a slot behind its first <paramref name="past"/> positions; later ones are forgotten. Returns [V] scores after the last token.</summary>
    public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past)
    {
        Append(slot, tokens, past, Wanted.LastScores);
        return _passes.LastScores(1);
    }

    /// <summary>As <see cref="Prefill"/>, but returns [n, V] scores, those after each of the tokens.</summary>
    public ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past)
    {
        Append(slot, tokens, past, Wanted.AllScores);
        return _passes.AllScores(tokens.Length);
    }

    /// <summary>As <see cref="Prefill"/>, but returns [n, D] hidden states, what the scores after each of the tokens are computed from.</summary>
    public ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past)
    {
        Append(slot, tokens, past, Wanted.HiddenStates);
        return _passes.HiddenStates(tokens.Length);
    }

    /// <summary>Appends one token to each of the first slots behind their first <paramref name="pasts"/> positions. Returns [n, V] scores.</summary>
    public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        Step(tokens, pasts);
        return DecodedScores();
    }

    /// <summary>
    /// As <see cref="Decode"/>, but returns [n] tokens, those of the highest scores, ties to the lowest token; −1 where the highest is not finite. On a GPU they are chosen there, and only they come
    /// to the host.
    /// </summary>
    public ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        Step(tokens, pasts);
        Span<int> best = _best.AsSpan(0, tokens.Length);
        _passes.Best(best);
        return best;
    }

    /// <summary>[n, V] scores of the last step of <see cref="DecodeBest"/>.</summary>
    public ReadOnlySpan<float> DecodedScores() => _passes.LastScores(_decoded);

    /// <summary>One pass may read tokens of a slot and decode others.</summary>
    public bool ReadsWhileDecoding => _passes.ReadsWhileDecoding;

    /// <summary><see cref="Decode"/>, and in the same pass <see cref="Prefill"/> into another slot. Returns [n + 1, V] scores, last those after <paramref name="prompt"/>.</summary>
    public ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past)
    {
        if (!ReadsWhileDecoding) throw new ModelRuntimeException("Only a package whose weights have a file of their own, or are few, reads while it decodes, and only on the CPU, with kernels.");
        RequireStep(tokens, pasts);
        if (slot < tokens.Length) throw new ModelRuntimeException($"Slot {slot} is decoded; it cannot be read into.");
        Require(slot, past, prompt.Length);
        RequireKnown(prompt);
        _passes.Step(tokens, pasts, slot, prompt, past);
        Stepped(pasts);
        _cache.SetLength(slot, past + prompt.Length);
        return _passes.LastScores(tokens.Length + 1);
    }

    /// <summary>Copies what one slot holds over another.</summary>
    public void Move(int from, int to)
    {
        if ((uint)from >= (uint)Slots || (uint)to >= (uint)Slots) throw new ModelRuntimeException($"There are {Slots} slots; cannot move {from} to {to}.");
        if (from != to) _cache.Copy(from, to);
    }

    /// <summary>Keys and values of the first <paramref name="length"/> positions of a slot, kept outside the slots.</summary>
    public SlotSnapshot Save(int slot, int length)
    {
        if ((uint)slot >= (uint)Slots || length < 1 || length > _cache.Length(slot)) throw new ModelRuntimeException($"Slot {slot} has no {length} positions to save.");
        return _cache.Save(slot, length);
    }

    /// <summary>Puts the first <paramref name="length"/> positions of a snapshot into a slot, which then holds these and no others.</summary>
    public void Load(SlotSnapshot snapshot, int length, int slot)
    {
        if ((uint)slot >= (uint)Slots || length < 1 || length > snapshot.Length) throw new ModelRuntimeException($"Slot {slot} cannot take {length} of {snapshot.Length} positions.");
        _cache.Load(snapshot, length, slot);
    }

    public void Dispose()
    {
        _passes.Dispose();
        _model.Dispose();
        _cache.Dispose();
    }

    private void Step(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        RequireStep(tokens, pasts);
        _passes.Step(tokens, pasts);
        Stepped(pasts);
    }

    private void Stepped(ReadOnlySpan<int> pasts)
    {
        for (int slot = 0; slot < pasts.Length; slot++) _cache.SetLength(slot, pasts[slot] + 1);
        _decoded = pasts.Length;
    }

    private void Append(int slot, ReadOnlySpan<int> tokens, int past, Wanted wanted)
    {
        Require(slot, past, tokens.Length);
        RequireKnown(tokens);
        if (wanted != Wanted.LastScores && !GivesAll)
            throw new ModelRuntimeException("The package is from before models gave the scores and hidden states of all tokens; export or import it again.");
        _passes.Append(slot, tokens, past, wanted);
        _cache.SetLength(slot, past + tokens.Length);
    }

    private void RequireStep(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        if (tokens.IsEmpty || tokens.Length > Slots || tokens.Length != pasts.Length)
            throw new ModelRuntimeException($"A step decodes 1 to {Slots} slots; got {tokens.Length} tokens and {pasts.Length} lengths.");
        for (int slot = 0; slot < tokens.Length; slot++) Require(slot, pasts[slot], 1);
        RequireKnown(tokens);
    }

    private void Require(int slot, int past, int count)
    {
        if ((uint)slot >= (uint)Slots) throw new ModelRuntimeException($"There are {Slots} slots, not a slot {slot}.");
        if (past < 0 || past > _cache.Length(slot)) throw new ModelRuntimeException($"Slot {slot} holds {_cache.Length(slot)} positions, not {past}.");
        if (count < 1 || past > MaxLength - count)
            throw new ModelRuntimeException($"Slot {slot} has room for 1 to {MaxLength - past} more positions, got {count}.");
    }

    private void RequireKnown(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
            if ((uint)token >= (uint)VocabularySize) throw new ModelRuntimeException($"The token {token} is outside the vocabulary of {VocabularySize}.");
    }

    /// <summary>
    /// A model whose scores are no numbers must not start to serve. These are also the first runs, which are slower than all others: a prompt and, on the CPU, where no run is recorded, a token.
    /// </summary>
    private void RequireFiniteScores(string folder, bool cpu)
    {
        int[] prompt = new int[cpu ? Math.Min(FirstPrompt, MaxLength) : 1];
        foreach (float score in Prefill(0, prompt, 0))
            if (!float.IsFinite(score)) throw new ModelRuntimeException($"The model of {folder} gives scores that are not finite{(_model.IsHalf ? " in float16, whose largest number is 65504; bfloat16 goes as far as float32" : "")}.");
        if (cpu && prompt.Length < MaxLength) DecodeBest([0], [prompt.Length]);
        _cache.SetLength(0, 0);
    }
}
