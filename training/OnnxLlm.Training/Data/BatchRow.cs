namespace OnnxLlm.Training.Data;

/// <summary>One sequence of a batch, to be filled: T ids, T labels or one, and T ones for tokens.</summary>
internal readonly ref struct BatchRow(Span<long> inputIds, Span<long> labels, Span<long> attentionMask)
{
    /// <summary>The label that the loss ignores.</summary>
    public const long Ignored = -100;

    public Span<long> InputIds { get; } = inputIds;

    public Span<long> Labels { get; } = labels;

    public Span<long> AttentionMask { get; } = attentionMask;

    /// <summary>Nothing but padding.</summary>
    public void Blank()
    {
        InputIds.Clear();
        Labels.Fill(Ignored);
        AttentionMask.Clear();
    }
}
