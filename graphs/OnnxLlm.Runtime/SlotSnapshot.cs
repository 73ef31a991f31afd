namespace OnnxLlm.Runtime;

/// <summary>Keys and values that a slot of a <see cref="GenerationSession"/> held, kept outside the slots. Whoever saved it disposes it, before the session.</summary>
public sealed class SlotSnapshot : IDisposable
{
    private readonly SnapshotPool _pool;
    private TensorBuffer[] _blocks;

    internal SlotSnapshot(SnapshotPool pool, int length) => (_pool, _blocks, Length) = (pool, pool.Take(length), length);

    /// <summary>Positions.</summary>
    public int Length { get; }

    /// <summary>Size of the blocks that they lie in.</summary>
    public long Bytes => _pool.BytesOf(Length);

    /// <summary>Each of [2·L·G, <see cref="SnapshotPool.Positions"/>, K], one behind the other.</summary>
    internal IReadOnlyList<TensorBuffer> Blocks => _blocks;

    public void Dispose()
    {
        _pool.Return(_blocks);
        _blocks = [];
    }
}
