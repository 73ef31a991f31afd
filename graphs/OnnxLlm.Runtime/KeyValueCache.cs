using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;

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

    internal KeyValueCache(ModelConfig config, int slots, int maxLength)
    {
        _config = config;
        _lengths = new int[slots];
        _buffers = [.. Enumerable.Range(0, config.Layers).SelectMany(layer => new[]
        {
            (GenerationGraph.PastKey(layer), GenerationGraph.PresentKey(layer), Allocate()),
            (GenerationGraph.PastValue(layer), GenerationGraph.PresentValue(layer), Allocate()),
        })];

        TensorBuffer Allocate() => TensorBuffer.Zeros(ElementType.Float, slots, config.KeyValueHeads, maxLength, config.HeadSize);
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

    public void Dispose()
    {
        foreach ((_, _, TensorBuffer buffer) in _buffers) buffer.Dispose();
    }
}
