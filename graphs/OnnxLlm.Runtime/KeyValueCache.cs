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
    private readonly Device _device;
    private readonly ElementType _type;

    internal KeyValueCache(ModelConfig config, int slots, int maxLength, Device device, ElementType type)
    {
        (_config, _device, _type) = (config, device, type);
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
    internal long BytesPerPosition => 2L * _config.Layers * _config.KeyValueHeads * _config.HeadSize * _type.Size();

    /// <summary>A copy of the first positions of a slot.</summary>
    internal SlotSnapshot Save(int slot, int length)
    {
        TensorBuffer copy = TensorBuffer.Zeros(_device, _type, _buffers.Length * _config.KeyValueHeads, length, _config.HeadSize);
        ForEachHead(slot, (row, head) => copy.Rows(row, 1).CopyFrom(head.View(0, 1, length, _config.HeadSize)));
        return new SlotSnapshot(copy, length);
    }

    /// <summary>The first positions of a copy over those of a slot.</summary>
    internal void Load(SlotSnapshot snapshot, int length, int slot)
    {
        ForEachHead(slot, (row, head) => head.View(0, length, _config.HeadSize).CopyFrom(snapshot.Data.Rows(row, 1).View(0, length, _config.HeadSize)));
        _lengths[slot] = length;
    }

    /// <summary>Each head's [maxLength, K] of a slot, keys and values of all layers, numbered.</summary>
    private void ForEachHead(int slot, Action<int, TensorBuffer> action)
    {
        int row = 0;
        foreach ((_, _, TensorBuffer buffer) in _buffers)
        {
            TensorBuffer all = buffer.Rows(slot, 1);
            long stride = all.Count / _config.KeyValueHeads;
            for (int head = 0; head < _config.KeyValueHeads; head++) action(row++, all.View(head * stride, stride));
        }
    }

    public void Dispose()
    {
        foreach ((_, _, TensorBuffer buffer) in _buffers) buffer.Dispose();
    }
}
