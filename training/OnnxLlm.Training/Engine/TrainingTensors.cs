using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// The tensors of a run in native memory: parameters, their summed gradients, and the optimizer's moments, each under its name in the graphs.
/// A checkpoint holds the parameters and the moments; gradients live for one step. A frozen parameter has neither.
/// </summary>
internal sealed class TrainingTensors : IDisposable
{
    private const string OptimizerFile = "optimizer.safetensors";

    /// <summary>What Hugging Face's loader asks of a safetensors file.</summary>
    internal static readonly Dictionary<string, string> Metadata = new() { ["format"] = "pt" };

    private readonly Dictionary<string, TensorBuffer> _buffers = [];
    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly ImmutableArray<string> _moments;

    /// <summary>Allocates everything as zeros; which moments there are is read off the optimizer graph's inputs.</summary>
    public TrainingTensors(TrainingGraphs graphs)
    {
        _parameters = graphs.Parameters;
        var inputs = graphs.Optimizer.Inputs.Select(i => i.Name).ToHashSet();
        _moments = [.. _parameters.SelectMany(p => p.OptimizerStates).Where(inputs.Contains)];
        foreach (var p in _parameters)
            foreach (var name in p.OptimizerStates.Prepend(p.GradientBuffer).Where(inputs.Contains).Prepend(p.Name))
                _buffers[name] = TensorBuffer.Zeros(ElementType.Float, p.Shape.AsSpan());
    }

    public TensorBuffer this[string name] => _buffers[name];

    public TensorBuffer? Find(string name) => _buffers.GetValueOrDefault(name);

    public void Initialize(Initializer initializer)
    {
        foreach (var p in _parameters) initializer.Fill(p, _buffers[p.Name].Span<float>());
    }

    public void Save(string folder)
    {
        Write(Path.Combine(folder, PackageManifest.WeightsFile), _parameters.Select(p => p.Name));
        Write(Path.Combine(folder, OptimizerFile), _moments);
    }

    public void Load(string folder)
    {
        Read(Path.Combine(folder, PackageManifest.WeightsFile), _parameters.Select(p => p.Name));
        Read(Path.Combine(folder, OptimizerFile), _moments);
    }

    public void Dispose()
    {
        foreach (var buffer in _buffers.Values) buffer.Dispose();
    }

    private void Write(string path, IEnumerable<string> names) =>
        Safetensors.Write(path, names.Select(name => SafetensorsSource.Of(name, _buffers[name])), Metadata);

    private void Read(string path, IEnumerable<string> names)
    {
        using var file = Safetensors.Open(path);
        foreach (var name in names) file.Read(name, _buffers[name]);
    }
}
