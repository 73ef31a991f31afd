using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace OnnxLlm.Training.Data;

/// <summary>
/// The fixed set that every validation of a run measures: the first windows of the validation split, in order, without overlap
/// (stride T: each token is predicted once, from at most T−1 tokens before it; or always the same ones are hidden). Its hash says which tokens a number was measured on.
/// </summary>
internal sealed class ValidationSet(ISequenceSource windows, int rows, int tokens)
{
    /// <summary>Windows measured: as many as hold the wanted tokens, or all there are.</summary>
    private readonly long _count = Math.Min(windows.Count, (tokens + windows.Length - 1L) / windows.Length);

    public IEnumerable<MicroBatch> MicroBatches()
    {
        for (var first = 0L; first < _count; first += rows)
            yield return TokenDataset.Pack(windows, rows, row => first + row < _count ? (first + row, first + row) : null);
    }

    /// <summary>SHA-256 over the ids and labels, in lower-case hexadecimal.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var batch in MicroBatches())
        {
            hash.AppendData(MemoryMarshal.AsBytes(batch.InputIds.AsSpan()));
            hash.AppendData(MemoryMarshal.AsBytes(batch.Labels.AsSpan()));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
