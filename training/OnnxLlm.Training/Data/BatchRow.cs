namespace OnnxLlm.Training.Data;

/// <summary>One sequence of a batch, to be filled: T ids, T labels or one, T ones for tokens, and where there is a target T ids that a decoder reads.</summary>
internal readonly ref struct BatchRow(Span<long> inputIds, Span<long> labels, Span<long> attentionMask, Span<long> decoderInputIds = default)
{
    /// <summary>The label that the loss ignores.</summary>
    public const long Ignored = -100;

    public Span<long> InputIds { get; } = inputIds;

    public Span<long> Labels { get; } = labels;

    public Span<long> AttentionMask { get; } = attentionMask;

    public Span<long> DecoderInputIds { get; } = decoderInputIds;

    /// <summary>A text that is read, and one that is written for it: its decoder reads it one place later, behind the token that begins answers.</summary>
    public void Pair(ReadOnlySpan<int> input, ReadOnlySpan<int> target, int start)
    {
        for (var t = 0; t < input.Length; t++) (InputIds[t], AttentionMask[t]) = (input[t], 1);
        for (var t = 0; t < target.Length; t++) (DecoderInputIds[t], Labels[t]) = (t == 0 ? start : target[t - 1], target[t]);
    }

    /// <summary>Nothing but padding.</summary>
    public void Blank()
    {
        InputIds.Clear();
        Labels.Fill(Ignored);
        AttentionMask.Clear();
        DecoderInputIds.Clear();
    }
}
