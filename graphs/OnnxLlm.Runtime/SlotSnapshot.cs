namespace OnnxLlm.Runtime;

/// <summary>Keys and values that a slot of a <see cref="GenerationSession"/> held, kept outside the slots. Whoever saved it disposes it.</summary>
public sealed class SlotSnapshot : IDisposable
{
    internal SlotSnapshot(TensorBuffer data, int length) => (Data, Length) = (data, length);

    /// <summary>Positions.</summary>
    public int Length { get; }

    public long Bytes => Data.Bytes;

    /// <summary>[2·L·G, length, K]</summary>
    internal TensorBuffer Data { get; }

    public void Dispose() => Data.Dispose();
}
