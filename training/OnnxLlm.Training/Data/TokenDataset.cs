namespace OnnxLlm.Training.Data;

/// <summary>The training data: the batch at a position is a pure function of (tokens, seed, position), so a position is all a resume needs.</summary>
internal sealed class TokenDataset(ISequences windows, EpochOrder order, int globalBatch, int microBatch)
{
    /// <summary>Sequences per epoch.</summary>
    public long Windows => windows.Count;

    /// <summary>The batch of sequences position … position + globalBatch − 1; those from <paramref name="end"/> on are blank.</summary>
    public GlobalBatch Batch(long position, long end = long.MaxValue) =>
        new(position, [.. Enumerable.Range(0, globalBatch / microBatch).Select(i => MicroBatch(position + i * microBatch, end))]);

    /// <summary>The micro-batch of sequences position … position + microBatch − 1.</summary>
    public MicroBatch MicroBatch(long position, long end = long.MaxValue) =>
        Pack(windows, microBatch, row => position + row < end ? (order[position + row], position + row) : null);

    /// <summary>Packs one window, drawn with a number, or a blank row into each of <paramref name="rows"/> rows.</summary>
    public static MicroBatch Pack(ISequences windows, int rows, Func<int, (long Window, long Draw)?> windowOfRow)
    {
        var (time, each) = (windows.Length, windows.Labels);
        var (inputs, labels, mask, valid) = (new long[rows * time], new long[rows * each], new long[rows * time], 0);
        long[] decoderInputs = windows.HasTargets ? new long[rows * time] : [];
        for (var i = 0; i < rows; i++)
        {
            var row = new BatchRow(inputs.AsSpan(i * time, time), labels.AsSpan(i * each, each), mask.AsSpan(i * time, time), windows.HasTargets ? decoderInputs.AsSpan(i * time, time) : []);
            if (windowOfRow(i) is var (window, draw)) valid += windows.Fill(window, draw, row);
            else row.Blank();
        }
        return new MicroBatch(inputs, labels, valid) { AttentionMask = mask, DecoderInputIds = decoderInputs };
    }
}
