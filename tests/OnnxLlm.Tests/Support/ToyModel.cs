using System.Numerics.Tensors;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Tests.Support;

/// <summary>
/// A language model small enough to be read: its scores are a plain function of all tokens so far. Like a real runner it knows a
/// sequence only by its slot, so a wrong slot, position or move changes the answer or throws.
/// </summary>
internal abstract class ToyModel(int slots, int maxLength, int vocabularySize) : IModelRunner
{
    private readonly int[][] _slots = [.. Enumerable.Range(0, slots).Select(_ => new int[maxLength])];
    private readonly int[] _held = new int[slots];
    private readonly float[] _logits = new float[slots * vocabularySize];
    private readonly int[] _best = new int[slots];

    public int Slots => slots;

    public int MaxLength => maxLength;

    public int VocabularySize => vocabularySize;

    public long BytesOf(int length) => length;

    /// <summary>What is kept beside the slots.</summary>
    public Dictionary<int, int[]> Entries { get; } = [];

    /// <summary>Prompt tokens read.</summary>
    public int PrefilledTokens { get; private set; }

    /// <summary>Runs on the engine's thread before each forward pass; a test may wait in it, or throw.</summary>
    public Action? BeforePass { get; set; }

    /// <summary>Runs on the engine's thread once something was kept beside the slots, or dropped there.</summary>
    public Action<TransferKind>? AfterTransfer { get; set; }

    public int PrefillPasses { get; private set; }

    public int DecodePasses { get; private set; }

    public int LargestBatch { get; private set; }

    public ReadOnlySpan<float> Prefill(int slot, ReadOnlySpan<int> tokens, int past)
    {
        BeforePass?.Invoke();
        PrefillPasses++;
        PrefilledTokens += tokens.Length;
        Append(slot, tokens, past);
        return Scores(1, slot);
    }

    /// <summary>Hidden states are the token and its position.</summary>
    public int Width => 2;

    /// <summary>Times this.</summary>
    public float HiddenScale { get; set; } = 1;

    public bool GivesAll { get; init; } = true;

    /// <summary>Passes that scored several tokens of one sequence.</summary>
    public int ScoringPasses { get; private set; }

    public ReadOnlySpan<float> Score(int slot, ReadOnlySpan<int> tokens, int past)
    {
        BeforePass?.Invoke();
        ScoringPasses++;
        var scores = new float[tokens.Length * vocabularySize];
        for (var i = 0; i < tokens.Length; i++)
        {
            Append(slot, tokens.Slice(i, 1), past + i);
            Scores(1, slot).CopyTo(scores.AsSpan(i * vocabularySize));
        }

        return scores;
    }

    public ReadOnlySpan<float> Hidden(int slot, ReadOnlySpan<int> tokens, int past)
    {
        BeforePass?.Invoke();
        Append(slot, tokens, past);
        var states = new float[2 * tokens.Length];
        for (var i = 0; i < tokens.Length; i++) (states[2 * i], states[2 * i + 1]) = (HiddenScale * tokens[i], HiddenScale * (past + i));
        return states;
    }

    public ReadOnlySpan<float> Decode(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        BeforePass?.Invoke();
        DecodePasses++;
        LargestBatch = Math.Max(LargestBatch, tokens.Length);
        for (var slot = 0; slot < tokens.Length; slot++) Append(slot, tokens.Slice(slot, 1), pasts[slot]);
        return Scores(tokens.Length, 0);
    }

    /// <summary>As packages with 8-bit weights do.</summary>
    public bool ReadsWhileDecoding { get; init; }

    /// <summary>Passes that read and decoded.</summary>
    public int JointPasses { get; private set; }

    public ReadOnlySpan<float> DecodeAndRead(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts, int slot, ReadOnlySpan<int> prompt, int past)
    {
        if (!ReadsWhileDecoding || slot < tokens.Length) throw new InvalidOperationException($"Slot {slot} cannot be read into.");
        JointPasses++;
        PrefilledTokens += prompt.Length;
        Append(slot, prompt, past);
        Decode(tokens, pasts);
        Score(_slots[slot].AsSpan(0, _held[slot]), _logits.AsSpan(tokens.Length * vocabularySize, vocabularySize));
        return _logits.AsSpan(0, (tokens.Length + 1) * vocabularySize);
    }

    /// <summary>Steps whose likeliest tokens were asked for, and no scores.</summary>
    public int BestPasses { get; private set; }

    public ReadOnlySpan<int> DecodeBest(ReadOnlySpan<int> tokens, ReadOnlySpan<int> pasts)
    {
        BestPasses++;
        var scores = Decode(tokens, pasts);
        for (var row = 0; row < tokens.Length; row++)
        {
            var best = TensorPrimitives.IndexOfMax(scores.Slice(row * vocabularySize, vocabularySize));
            _best[row] = float.IsFinite(scores[row * vocabularySize + best]) ? best : -1;
        }

        return _best.AsSpan(0, tokens.Length);
    }

    public ReadOnlySpan<float> DecodedScores() => _logits;

    public void Move(int from, int to)
    {
        _slots[from].CopyTo(_slots[to], 0);
        _held[to] = _held[from];
    }

    public void Save(int slot, int length, int entry)
    {
        if (length > _held[slot]) throw new InvalidOperationException($"Slot {slot} holds {_held[slot]} positions, not {length}.");
        Entries.Add(entry, _slots[slot][..length]);
        AfterTransfer?.Invoke(TransferKind.Save);
    }

    public void Load(int entry, int length, int slot)
    {
        Entries[entry].AsSpan(0, length).CopyTo(_slots[slot]);
        _held[slot] = length;
    }

    public void Drop(int entry)
    {
        Entries.Remove(entry);
        AfterTransfer?.Invoke(TransferKind.Drop);
    }

    public virtual void Dispose()
    {
    }

    /// <summary>Writes the scores of the token after <paramref name="history"/>.</summary>
    protected abstract void Score(ReadOnlySpan<int> history, Span<float> logits);

    private void Append(int slot, ReadOnlySpan<int> tokens, int past)
    {
        if (past > _held[slot]) throw new InvalidOperationException($"Slot {slot} holds {_held[slot]} positions, not {past}.");
        tokens.CopyTo(_slots[slot].AsSpan(past));
        _held[slot] = past + tokens.Length;
    }

    private ReadOnlySpan<float> Scores(int rows, int firstSlot)
    {
        for (var row = 0; row < rows; row++)
            Score(_slots[firstSlot + row].AsSpan(0, _held[firstSlot + row]), _logits.AsSpan(row * vocabularySize, vocabularySize));
        return _logits.AsSpan(0, rows * vocabularySize);
    }
}

/// <summary>Scores that are noise, but the same noise for the same whole history.</summary>
internal sealed class NoiseModel(int slots = 8, int maxLength = 256, int vocabularySize = 50, ulong seed = 1) : ToyModel(slots, maxLength, vocabularySize)
{
    protected override void Score(ReadOnlySpan<int> history, Span<float> logits)
    {
        var state = seed;
        foreach (var token in history) state = Mix(state ^ (ulong)(token + 1));
        for (var token = 0; token < logits.Length; token++)
            logits[token] = 6 * (float)((Mix(state + (ulong)token) >> 11) * (1.0 / (1L << 53)));
    }

    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 31)) * 0x7FB5D329728EA185 + 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 27)) * 0x81DADEF4BC2DD44D;
        return x ^ (x >> 33);
    }
}

/// <summary>
/// Knows one text by heart: it continues the longest piece of history found in the text, and after the text's end, or
/// when it recognises nothing, it says <paramref name="end"/>.
/// </summary>
internal sealed class ParrotModel(int[] text, int end, int vocabularySize, int slots = 4, int maxLength = 256) : ToyModel(slots, maxLength, vocabularySize)
{
    /// <summary>Scores for those who have a parrot.</summary>
    public void Continue(ReadOnlySpan<int> history, Span<float> logits)
    {
        logits.Clear();
        logits[Next(history)] = 20;
    }

    protected override void Score(ReadOnlySpan<int> history, Span<float> logits) => Continue(history, logits);

    private int Next(ReadOnlySpan<int> history)
    {
        var (best, next) = (0, end);
        for (var i = 1; i <= text.Length; i++)
        {
            var match = Match(history, text.AsSpan(0, i));
            if (match > best) (best, next) = (match, i < text.Length ? text[i] : end);
        }

        return next;
    }

    private static int Match(ReadOnlySpan<int> history, ReadOnlySpan<int> known)
    {
        var length = 0;
        while (length < Math.Min(history.Length, known.Length) && history[^(length + 1)] == known[^(length + 1)]) length++;
        return length;
    }
}

/// <summary>The same scores whatever was said.</summary>
internal sealed class FixedModel(float[] scores, int slots = 1, int maxLength = 64) : ToyModel(slots, maxLength, scores.Length)
{
    protected override void Score(ReadOnlySpan<int> history, Span<float> logits) => scores.CopyTo(logits);
}
