using System.Collections.Immutable;

namespace OnnxLlm.Training.Data;

/// <summary>One run of the step graph: ids and labels of shape [B, T], row by row.</summary>
internal sealed record MicroBatch(long[] InputIds, long[] Labels, int ValidTokens);

/// <summary>One optimizer step's data. The loss is the mean over <see cref="ValidTokens"/>, however they fall into micro-batches.</summary>
internal sealed record GlobalBatch(long Position, ImmutableArray<MicroBatch> MicroBatches)
{
    public long ValidTokens { get; } = MicroBatches.Sum(m => (long)m.ValidTokens);
}
