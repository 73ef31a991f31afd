namespace OnnxLlm.Training.Data;

/// <summary>Copies the tokens that start at <paramref name="offset"/> into <paramref name="ids"/>.</summary>
internal delegate void TokenReader(long offset, Span<int> ids);

/// <summary>
/// Cuts a stream of tokens into windows of T predictions. Window i predicts tokens iT+1 … (i+1)T from those one before,
/// so every token but the first is a label exactly once; the last window may be shorter and is filled up with ignored labels.
/// </summary>
internal sealed class TokenWindows(long tokens, TokenReader read, int length)
{
    /// <summary>The label that the loss ignores.</summary>
    public const long Ignored = -100;

    /// <summary>T, the predictions of a full window.</summary>
    public int Length => length;

    public long Count { get; } = (tokens - 1 + length - 1) / length;

    /// <summary>Writes a window's T inputs and T labels; returns how many labels are valid.</summary>
    public int Fill(long window, Span<long> inputs, Span<long> labels)
    {
        var start = window * length;
        var valid = (int)Math.Min(length, tokens - 1 - start);
        Span<int> ids = new int[valid + 1];
        read(start, ids);

        Blank(inputs, labels);
        for (var t = 0; t < valid; t++) (inputs[t], labels[t]) = (ids[t], ids[t + 1]);
        return valid;
    }

    public static void Blank(Span<long> inputs, Span<long> labels)
    {
        inputs.Clear();
        labels.Fill(Ignored);
    }
}
