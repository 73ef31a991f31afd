namespace OnnxLlm.Training.Data;

/// <summary>Copies the tokens that start at <paramref name="offset"/> into <paramref name="ids"/>.</summary>
internal delegate void TokenReader(long offset, Span<int> ids);

/// <summary>
/// Cuts a stream of tokens into windows of T. Window i reads tokens iT … (i+1)T − 1 and predicts the one after each of them, so every token but the first is
/// a label exactly once; or, with a masking, those of them that it hides. The last window may be shorter and is filled up with ignored labels.
/// </summary>
internal sealed class TokenWindows(long tokens, TokenReader read, int length, TokenMasking? masking = null) : ISequenceSource
{
    /// <summary>How far behind its token a label stands.</summary>
    private readonly int _ahead = masking is null ? 1 : 0;

    /// <summary>T, the tokens of a full window.</summary>
    public int Length => length;

    public long Count { get; } = (tokens - (masking is null ? 1 : 0) + length - 1) / length;

    /// <summary>Writes a window's ids and labels; returns how many labels are valid.</summary>
    /// <param name="draw">What a masking hides depends on this number.</param>
    public int Fill(long window, long draw, BatchRow row)
    {
        var start = window * length;
        var count = (int)Math.Min(length, tokens - _ahead - start);
        Span<int> ids = new int[count + _ahead];
        read(start, ids);

        row.Blank();
        for (var t = 0; t < count; t++) (row.InputIds[t], row.Labels[t], row.AttentionMask[t]) = (ids[t], ids[t + _ahead], 1);
        return masking is null ? count : masking.Hide(draw, row.InputIds[..count], row.Labels[..count]);
    }
}
