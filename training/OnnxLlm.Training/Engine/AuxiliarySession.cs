using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>Runs a graph that only looks at the weights in training: they are bound where they lie; its other inputs and outputs are its own.</summary>
internal sealed class AuxiliarySession : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly Dictionary<string, MirroredTensor> _own = [];
    private readonly SessionSettings _settings;

    /// <param name="lent">The engine's tensor for an input's name, or null.</param>
    public AuxiliarySession(Graph graph, SessionSettings settings, Func<string, TensorBuffer?> lent)
    {
        _settings = settings;
        _session = new OrtSession(OnnxFile.ToBytes(graph), settings);
        _bound = _session.Bind();
        foreach (var input in _session.Inputs) _bound.Input(input.Name, lent(input.Name) ?? Own(input));
        foreach (var output in _session.Outputs) _bound.Output(output.Name, Own(output));
    }

    /// <summary>One of its own inputs or outputs.</summary>
    public TensorBuffer this[string name] => _own[name].Host;

    public bool Has(string name) => _own.ContainsKey(name);

    public void Run()
    {
        foreach (var input in _session.Inputs)
            if (_own.TryGetValue(input.Name, out var own)) own.Upload();
        _bound.Run();
        foreach (var output in _session.Outputs) _own[output.Name].Download();
    }

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        foreach (var buffer in _own.Values) buffer.Dispose();
    }

    private TensorBuffer Own(TensorInfo info)
    {
        var mirrored = _own[info.Name] = new MirroredTensor(_settings.Device, info.Type, info.Shape.AsSpan());
        return mirrored.OnDevice;
    }
}
