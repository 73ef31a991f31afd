namespace OnnxLlm.Training.Data;

/// <summary>Copies the tokens that start at <paramref name="offset"/> into <paramref name="ids"/>.</summary>
internal delegate void TokenReader(long offset, Span<int> ids);

/// <summary>
/// Cuts a stream of tokens into windows of T. Window i reads tokens iT … (i+1)T − 1 and predicts the one after each of them, so every token but the first is
/// a label exactly once; or, with a masking, those of them that it hides. The last window may be shorter and is filled up with ignored labels.
/// </summary>
internal sealed class TokenWindows(long tokens, TokenReader read, int length, TokenMasking? masking = null) : ISequences
{
    /// <summary>How far behind its token a label stands.</summary>
    private readonly int _ahead = masking is null ? 1 : 0;

    public int Length => length;

    public int Labels => length;

    public long Count { get; } = (tokens - (masking is null ? 1 : 0) + length - 1) / length;

    /// <inheritdoc/>
    public int Fill(long sequence, long draw, BatchRow row)
    {
        var start = sequence * length;
        var count = (int)Math.Min(length, tokens - _ahead - start);
        Span<int> ids = new int[count + _ahead];
        read(start, ids);

        row.Blank();
        for (var t = 0; t < count; t++) (row.InputIds[t], row.Labels[t], row.AttentionMask[t]) = (ids[t], ids[t + _ahead], 1);
        return masking is null ? count : masking.Hide(draw, row.InputIds[..count], row.Labels[..count]);
    }
}
