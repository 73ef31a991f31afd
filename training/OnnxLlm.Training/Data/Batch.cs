using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace OnnxLlm.Training.Data;

/// <summary>One run of the step graph: ids and labels of shape [B, T], row by row; one label a row where it is the whole sequence's.</summary>
internal sealed record MicroBatch(long[] InputIds, long[] Labels, int ValidTokens)
{
    /// <summary>1 for a token, 0 for what fills a row up; only encoders look at it.</summary>
    public long[] AttentionMask { get; init; } = [];

    /// <summary>What the decoder of an encoder-decoder reads; empty for other models.</summary>
    public long[] DecoderInputIds { get; init; } = [];

    /// <summary>Tokens that the model reads.</summary>
    public long Tokens => AttentionMask.Sum() + (DecoderInputIds.Length > 0 ? ValidTokens : 0);
}

/// <summary>One optimizer step's data. The loss is the mean over <see cref="ValidTokens"/>, however they fall into micro-batches.</summary>
internal sealed record GlobalBatch(long Position, ImmutableArray<MicroBatch> MicroBatches)
{
    /// <summary>Labels that count.</summary>
    public long ValidTokens { get; } = MicroBatches.Sum(m => (long)m.ValidTokens);

    /// <summary>Tokens that the model reads. Where each of them has a label, as many as <see cref="ValidTokens"/>.</summary>
    public long Tokens { get; } = MicroBatches.Sum(m => m.Tokens);

    /// <summary>The first 16 hexadecimal digits of the SHA-256 over its ids, to find the same batch again.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var micro in MicroBatches) hash.AppendData(MemoryMarshal.AsBytes(micro.InputIds.AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }
}
