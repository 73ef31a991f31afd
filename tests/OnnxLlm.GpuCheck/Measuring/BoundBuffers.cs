using OnnxLlm.Graphs.Generation;
using OnnxLlm.Runtime;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>A session bound to one buffer of its device for every input and output, zeroed but for masks.</summary>
internal sealed class BoundBuffers : IDisposable
{
    /// <summary>What takes the place of an extent that the model leaves open.</summary>
    private const long OpenExtent = 4;

    private readonly Dictionary<string, TensorBuffer> _all = [];
    private readonly OrtSession _session;

    /// <param name="session">What is bound.</param>
    /// <param name="shared">Outputs, each with the input that is the same buffer.</param>
    public BoundBuffers(OrtSession session, IReadOnlyDictionary<string, string> shared)
    {
        _session = session;
        Bound = session.Bind();
        foreach (var input in session.Inputs) Bound.Input(input.Name, _all[input.Name] = Make(input));
        foreach (var output in session.Outputs)
            Bound.Output(output.Name, shared.TryGetValue(output.Name, out string? input) ? _all[input] : _all[output.Name] = Make(output));
        Updated = shared.Values.Distinct().ToDictionary(name => name, name => _all[name]);
    }

    public BoundSession Bound { get; }

    /// <summary>What is input and output, by the input's name.</summary>
    public IReadOnlyDictionary<string, TensorBuffer> Updated { get; }

    public void Dispose()
    {
        Bound.Dispose();
        foreach (var buffer in _all.Values) buffer.Dispose();
    }

    /// <summary>A mask must show something: attention to nothing is refused.</summary>
    private TensorBuffer Make(TensorInfo info)
    {
        var buffer = TensorBuffer.Zeros(_session.Device, info.Type, [.. info.Shape.Select(extent => extent < 0 ? OpenExtent : extent)]);
        if (info.Name != GenerationGraph.AttentionMask) return buffer;
        using var ones = TensorBuffer.Of([.. Enumerable.Repeat(1L, (int)buffer.Count)], buffer.Shape.AsSpan());
        buffer.CopyFrom(ones);
        return buffer;
    }
}
