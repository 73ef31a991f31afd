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
/// The moments may lie in a mapped file instead, out of working memory except while they are used.
/// </summary>
internal sealed class TrainingTensors : IDisposable
{
    private const string OptimizerFile = "optimizer.safetensors";

    /// <summary>What Hugging Face's loader asks of a safetensors file.</summary>
    internal static readonly Dictionary<string, string> Metadata = new() { ["format"] = "pt" };

    private readonly Dictionary<string, TensorBuffer> _buffers = [];
    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly ImmutableArray<string> _moments;
    private readonly MappedTensors? _mapped;

    /// <summary>Allocates everything as zeros; which moments there are is read off the optimizer graph's inputs.</summary>
    /// <param name="offload">File that the moments are kept in instead of memory; null keeps them in memory.</param>
    public TrainingTensors(TrainingGraphs graphs, string? offload = null)
    {
        _parameters = graphs.Parameters;
        var inputs = graphs.Optimizer.Inputs.Select(i => i.Name).ToHashSet();
        (string Name, ImmutableArray<long> Shape)[] moments = [.. _parameters.SelectMany(p => p.OptimizerStates.Where(inputs.Contains).Select(name => (name, p.Shape)))];
        _moments = [.. moments.Select(m => m.Name)];
        _mapped = offload is null ? null : MappedTensors.Create(offload, moments.Select(m => new SafetensorsEntry(m.Name, ElementType.Float, m.Shape)));
        foreach (var p in _parameters)
            foreach (var name in new[] { p.Name, p.GradientBuffer }.Where(name => name == p.Name || inputs.Contains(name))) _buffers[name] = TensorBuffer.Zeros(ElementType.Float, p.Shape.AsSpan());
        foreach (var (name, shape) in moments) _buffers[name] = _mapped?[name] ?? TensorBuffer.Zeros(ElementType.Float, shape.AsSpan());
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

    /// <summary>What was used of these tensors need not stay in memory, where they lie in a file.</summary>
    public void Release(IEnumerable<string> names) => _mapped?.Release(names.Where(_mapped.Contains));

    public void Dispose()
    {
        foreach (var buffer in _buffers.Values) buffer.Dispose();
        _mapped?.Dispose();
    }

    private void Write(string path, IEnumerable<string> names) => Safetensors.Write(path, names.Select(Source), Metadata);

    private SafetensorsSource Source(string name)
    {
        var source = SafetensorsSource.Of(name, _buffers[name]);
        return source with
        {
            Write = stream =>
            {
                source.Write(stream);
                Release([name]);
            },
        };
    }

    private void Read(string path, IEnumerable<string> names)
    {
        using var file = Safetensors.Open(path);
        foreach (var name in names)
        {
            file.Read(name, _buffers[name]);
            Release([name]);
        }
    }
}
