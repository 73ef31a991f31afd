using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// The tensors of a run in the memory of its device: parameters, their summed gradients, and the optimizer's moments, each under its name in the graphs.
/// A checkpoint holds the parameters and the moments; gradients live for one step. A frozen parameter has neither.
/// The moments may lie in a mapped file instead, out of working memory except while they are used.
/// </summary>
internal sealed class TrainingTensors : IDisposable
{
    private const string OptimizerFile = "optimizer.safetensors";

    /// <summary>What Hugging Face's loader asks of a safetensors file.</summary>
    internal static readonly Dictionary<string, string> Metadata = new() { ["format"] = "pt" };

    private readonly Dictionary<string, TensorBuffer> _buffers = [];
    private readonly List<TensorBuffer> _owned = [];
    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly ImmutableArray<string> _moments;
    private readonly MappedTensors? _mapped;

    /// <summary>Allocates everything as zeros; which moments there are is read off the optimizer graph's inputs.</summary>
    /// <param name="graphs">What the tensors are for.</param>
    /// <param name="device">Where they lie.</param>
    /// <param name="offload">What keeps the moments in a file; null keeps them in memory.</param>
    public TrainingTensors(TrainingGraphs graphs, Device device, Offload? offload)
    {
        _parameters = graphs.Parameters;
        var inputs = graphs.Optimizer.Inputs.ToDictionary(i => i.Name!);
        SafetensorsEntry[] moments = [.. graphs.Groups.SelectMany(g => g.Whole.OptimizerStates.Where(inputs.ContainsKey).Select(name => new SafetensorsEntry(name, inputs[name].Type, [.. inputs[name].Shape.ToArray()])))];
        _mapped = offload is null ? null : MappedTensors.Create(offload.File, moments);
        foreach (var p in _parameters.Where(p => !p.Trainable)) Allocate(device, p.Name, ElementType.Float, p.Shape);
        foreach (var whole in graphs.Groups.Select(g => g.Whole))
            foreach (var name in new[] { whole.Name, whole.GradientBuffer }) Allocate(device, name, ElementType.Float, whole.Shape);
        foreach (var moment in moments)
            if (_mapped is null) Allocate(device, moment.Name, moment.Type, moment.Shape);
            else _buffers[moment.Name] = _mapped[moment.Name];
        foreach (var (own, whole, shape, offset) in graphs.Groups.Concat(offload?.Parts.Divided ?? []).SelectMany(group => group.Views))
            if (_buffers.TryGetValue(whole, out var buffer)) _buffers[own] = buffer.View(offset, shape.AsSpan());
        _moments = [.. _parameters.SelectMany(p => p.OptimizerStates).Where(_buffers.ContainsKey)];
    }

    public TensorBuffer this[string name] => _buffers[name];

    public TensorBuffer? Find(string name) => _buffers.GetValueOrDefault(name);

    public void Initialize(Initializer initializer) => Fill(initializer.Fill);

    /// <param name="fill">Writes the first values of a parameter, in the processor's memory.</param>
    public void Fill(Action<ParameterInfo, Span<float>> fill)
    {
        foreach (var p in _parameters)
        {
            var buffer = _buffers[p.Name];
            using var copy = buffer.Device.IsCuda ? TensorBuffer.Zeros(ElementType.Float, p.Shape.AsSpan()) : null;
            fill(p, (copy ?? buffer).Span<float>());
            if (copy is not null) buffer.CopyFrom(copy);
        }
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

    /// <summary>Those of these tensors that lie in a file will be written.</summary>
    public void Fetch(IEnumerable<string> names) => _mapped?.Fetch(names.Select(name => _buffers[name]));

    /// <summary>What was used of these tensors need not stay in memory, where they lie in a file.</summary>
    public void Release(IEnumerable<string> names) => _mapped?.Release(names.Select(name => _buffers[name]));

    public void Dispose()
    {
        foreach (var buffer in _owned) buffer.Dispose();
        _mapped?.Dispose();
    }

    private void Allocate(Device device, string name, ElementType type, ImmutableArray<long> shape) =>
        _owned.Add(_buffers[name] = TensorBuffer.Zeros(device, type, shape.AsSpan()));

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
