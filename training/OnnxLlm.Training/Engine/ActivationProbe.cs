using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>Of the output of every block: its mean, its standard deviation and its largest absolute value.</summary>
internal sealed record ActivationMoments(float[] Mean, float[] Deviation, float[] Max);

/// <summary>Runs the auxiliary graph that looks at activations, on the weights that are being trained.</summary>
internal sealed class ActivationProbe : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly Dictionary<string, TensorBuffer> _outputs;

    /// <param name="graph">As made by <see cref="ActivationGraph"/>.</param>
    /// <param name="buffer">The tensor bound to an input.</param>
    public ActivationProbe(Graph graph, SessionSettings settings, Func<string, TensorBuffer> buffer)
    {
        _session = new OrtSession(OnnxFile.ToBytes(graph), settings);
        _bound = _session.Bind();
        _outputs = _session.Outputs.ToDictionary(o => o.Name, o => TensorBuffer.Zeros(o.Type, o.Shape.AsSpan()));
        foreach (var input in _session.Inputs) _bound.Input(input.Name, buffer(input.Name));
        foreach (var (name, output) in _outputs) _bound.Output(name, output);
    }

    public ActivationMoments Measure()
    {
        _bound.Run();
        return new ActivationMoments(Of(ActivationGraph.Mean), Of(ActivationGraph.Deviation), Of(ActivationGraph.Max));
    }

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        foreach (var output in _outputs.Values) output.Dispose();
    }

    private float[] Of(string name) => _outputs[name].Span<float>().ToArray();
}
