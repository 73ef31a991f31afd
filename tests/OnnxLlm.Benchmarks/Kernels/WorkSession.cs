using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>A function ready to run, by its kernel or by its body, on tensors of its own.</summary>
internal sealed class WorkSession : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly List<TensorBuffer> _buffers = [];

    public WorkSession(KernelWork work, bool kernels, int threads)
    {
        // Threads that go on spinning after a run would take the processors from the other side.
        _session = new OrtSession(OnnxFile.ToBytes(work.Graph()), new SessionSettings { Threads = threads, Kernels = kernels, SpinningBetweenRuns = false });
        _bound = _session.Bind();
        TensorBuffer[] inputs = [.. work.Shapes.Select((shape, i) => Filled(work.TypeOf(i), shape))];
        foreach (var (i, buffer) in inputs.Index()) _bound.Input($"x{i}", buffer);
        foreach (var (i, output) in _session.Outputs.Index())
            _bound.Output(output.Name, i < work.InPlace.Length ? inputs[work.InPlace[i]] : Kept(TensorBuffer.Zeros(output.Type, output.Shape.AsSpan())));
    }

    public void Run() => _bound.Run();

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        foreach (TensorBuffer buffer in _buffers) buffer.Dispose();
    }

    /// <summary>Numbers from 0.1 to 1.1: nothing becomes infinite, and only the probabilities of the loss become denormal. Bytes of every value.</summary>
    private TensorBuffer Filled(ElementType type, TensorShape shape)
    {
        TensorBuffer buffer = Kept(TensorBuffer.Zeros(type, shape.ToArray()));
        if (type == ElementType.Int8)
        {
            new Random(1).NextBytes(buffer.RawBytes());
            return buffer;
        }
        Span<float> values = buffer.Span<float>();
        for (int i = 0; i < values.Length; i++) values[i] = 0.1f + (i * 2654435761L & 0xFFFF) / 65536f;
        return buffer;
    }

    private TensorBuffer Kept(TensorBuffer buffer)
    {
        _buffers.Add(buffer);
        return buffer;
    }
}
