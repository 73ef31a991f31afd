using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Memory for what slots held, in blocks [heads, <see cref="Positions"/>, K] of as many positions each. Blocks that come back are used again, and they are cut from
/// large pages: the system clears memory at its first touch, page by page, which takes far longer than the copy itself, see decision 6.
/// </summary>
/// <param name="heads">Heads of keys and of values in all layers, 2·L·G.</param>
internal sealed class SnapshotPool(Device device, ElementType type, int heads, int headSize) : IDisposable
{
    private const long SlabBytes = 32 << 20;

    private readonly Stack<TensorBuffer> _free = [];
    private readonly List<TensorBuffer> _slabs = [];

    /// <summary>Positions of a block. Copies to and from a GPU cost by their number, so there are fewer.</summary>
    internal int Positions { get; } = device.IsCuda ? 256 : 64;

    private long BlockBytes => (long)heads * Positions * headSize * type.Size();

    /// <summary>Bytes of the blocks that hold so many positions.</summary>
    internal long BytesOf(int length) => Blocks(length) * BlockBytes;

    /// <summary>Blocks for so many positions. What they hold is undefined.</summary>
    internal TensorBuffer[] Take(int length)
    {
        var blocks = new TensorBuffer[Blocks(length)];
        for (int i = 0; i < blocks.Length; i++)
        {
            if (_free.Count == 0) Grow();
            blocks[i] = _free.Pop();
        }
        return blocks;
    }

    internal void Return(IEnumerable<TensorBuffer> blocks)
    {
        foreach (TensorBuffer block in blocks) _free.Push(block);
    }

    public void Dispose()
    {
        foreach (TensorBuffer slab in _slabs) slab.Dispose();
    }

    private int Blocks(int length) => (length + Positions - 1) / Positions;

    private void Grow()
    {
        long count = Math.Max(1, SlabBytes / BlockBytes);
        var slab = TensorBuffer.InLargePages(device, type, count, heads, Positions, headSize);
        _slabs.Add(slab);
        for (long block = count - 1; block >= 0; block--) _free.Push(slab.Rows(block, 1));
    }
}
