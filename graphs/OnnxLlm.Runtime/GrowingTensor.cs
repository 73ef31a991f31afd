using System.Numerics;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Rows of floats, as many as the longest call so far needed: scores of a whole context would take hundreds of megabytes, chunks of it take a few. It grows by
/// replacement, so it is bound anew for every call.
/// </summary>
internal sealed class GrowingTensor(Device device, long width, long mostRows) : IDisposable
{
    private MirroredTensor? _tensor;

    /// <summary>[rows or more, width]; what an earlier call gave is gone if it was shorter.</summary>
    public MirroredTensor For(long rows)
    {
        if (_tensor is { } enough && enough.Host.Shape[0] >= rows) return enough;
        _tensor?.Dispose();
        return _tensor = new(device, ElementType.Float, Math.Min(mostRows, (long)BitOperations.RoundUpToPowerOf2((ulong)rows)), width);
    }

    public void Dispose() => _tensor?.Dispose();
}
