using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Keys and values of some sequences: two buffers [slots, G, length, K] per layer, allocated once. Past and present of a run are bound to the same
/// rows, so a run appends in place. Memory that no sequence has reached yet is not taken from the system.
/// </summary>
internal sealed class KeyValueCache : IDisposable
{
    private readonly (string Past, string Present, TensorBuffer Buffer)[] _buffers;
    private readonly int[] _lengths;
    private readonly ModelConfig _config;
    private readonly ElementType _type;
    private readonly SnapshotPool _snapshots;

    internal KeyValueCache(ModelConfig config, int slots, int maxLength, Device device, ElementType type)
    {
        (_config, _type) = (config, type);
        _snapshots = new SnapshotPool(device, type, 2 * config.Layers * config.KeyValueHeads, config.HeadSize);
        _lengths = new int[slots];
        _buffers = [.. Enumerable.Range(0, config.Layers).SelectMany(layer => new[]
        {
            (GenerationGraph.PastKey(layer), GenerationGraph.PresentKey(layer), Allocate()),
            (GenerationGraph.PastValue(layer), GenerationGraph.PresentValue(layer), Allocate()),
        })];

        TensorBuffer Allocate() => TensorBuffer.Zeros(device, type, slots, config.KeyValueHeads, maxLength, config.HeadSize);
    }

    internal long Bytes => _buffers.Sum(buffer => buffer.Buffer.Bytes);

    /// <summary>Positions that a slot holds.</summary>
    internal int Length(int slot) => _lengths[slot];

    internal void SetLength(int slot, int length) => _lengths[slot] = length;

    /// <summary>Binds <paramref name="count"/> slots as past and present.</summary>
    internal void Bind(BoundSession bound, int slot, int count)
    {
        foreach ((string past, string present, TensorBuffer buffer) in _buffers)
        {
            TensorBuffer rows = buffer.Rows(slot, count);
            bound.Input(past, rows).Output(present, rows);
        }
    }

    /// <summary>Copies the positions that a slot holds over another slot.</summary>
    internal void Copy(int from, int to)
    {
        long count = (long)_lengths[from] * _config.HeadSize;
        foreach ((_, _, TensorBuffer buffer) in _buffers)
        {
            TensorBuffer source = buffer.Rows(from, 1), target = buffer.Rows(to, 1);
            for (long head = 0, stride = source.Count / _config.KeyValueHeads; head < _config.KeyValueHeads; head++)
                target.View(head * stride, count).CopyFrom(source.View(head * stride, count));
        }
        _lengths[to] = _lengths[from];
    }

    /// <summary>Bytes of one position of a slot.</summary>
    internal long BytesPerPosition => PositionBytes(_config, _type);

    /// <summary>Bytes of keys and values of one position, whose elements are of a type.</summary>
    internal static long PositionBytes(ModelConfig config, ElementType type) => 2L * config.Layers * config.KeyValueHeads * config.HeadSize * type.Size();

    /// <summary>Bytes that a copy of so many positions takes.</summary>
    internal long SnapshotBytes(int length) => _snapshots.BytesOf(length);

    /// <summary>A copy of the first positions of a slot.</summary>
    internal SlotSnapshot Save(int slot, int length)
    {
        var copy = new SlotSnapshot(_snapshots, length);
        ForEachPiece(slot, copy, length, (kept, held) => kept.CopyFrom(held));
        return copy;
    }

    /// <summary>The first positions of a copy over those of a slot.</summary>
    internal void Load(SlotSnapshot snapshot, int length, int slot)
    {
        ForEachPiece(slot, snapshot, length, (kept, held) => held.CopyFrom(kept));
        _lengths[slot] = length;
    }

    /// <summary>What a block keeps of a head, and where a slot holds it, for keys and values of all layers.</summary>
    private void ForEachPiece(int slot, SlotSnapshot snapshot, int length, Action<TensorBuffer, TensorBuffer> action)
    {
        for (int start = 0, block = 0; start < length; start += _snapshots.Positions, block++)
        {
            long count = (long)Math.Min(_snapshots.Positions, length - start) * _config.HeadSize, row = 0;
            foreach ((_, _, TensorBuffer buffer) in _buffers)
            {
                long stride = buffer.Count / buffer.Shape[0] / _config.KeyValueHeads;
                for (long head = 0; head < _config.KeyValueHeads; head++, row++)
                {
                    TensorBuffer kept = snapshot.Blocks[block].View(row * _snapshots.Positions * _config.HeadSize, count);
                    action(kept, buffer.View((slot * _config.KeyValueHeads + head) * stride + (long)start * _config.HeadSize, count));
                }
            }
        }
    }

    public void Dispose()
    {
        _snapshots.Dispose();
        foreach ((_, _, TensorBuffer buffer) in _buffers) buffer.Dispose();
    }
}
