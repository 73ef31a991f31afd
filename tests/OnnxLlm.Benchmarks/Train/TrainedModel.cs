using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>
/// The shortest complete training loop: the step and the optimizer graph over one set of buffers, every state bound as input and
/// output. The training runner does the same with data, schedule and checkpoints around it.
/// </summary>
internal sealed class TrainedModel : IDisposable
{
    private readonly Dictionary<string, TensorBuffer> _buffers = [];
    private readonly OrtSession _step;
    private readonly BoundSession _boundStep;
    private readonly IReadOnlyList<Update> _updates;
    private readonly TensorBuffer _ids, _labels;
    private readonly MappedTensors? _moments;

    /// <param name="offload">Keeps the moments in a mapped file of the folder and updates part by part, as `optimizer_offload: disk` does.</param>
    public TrainedModel(TrainJob job, string folder, string? profilePrefix, bool offload)
    {
        TrainingGraphs graphs = job.Graphs();
        (_ids, _labels) = ReadBatches(folder);
        SafetensorsEntry[] moments = [.. Moments(graphs)];
        _moments = offload ? MappedTensors.Create(Path.Combine(folder, "optimizer-state.safetensors"), moments) : null;
        AddScalars(job);
        AddState(graphs.Parameters, moments, folder);
        _step = Session(graphs.Step, job, profilePrefix, "step");
        _boundStep = Bind(_step, graphs.StepInPlace);
        _updates = offload ? [.. InParts(OptimizerParts.Of(job.Setup), job)] : [Part(graphs.Optimizer, graphs.OptimizerInPlace, job, profilePrefix)];
    }

    /// <summary>Forward, backward, clipping and update on the next batch; returns the loss before the update.</summary>
    public float Step(int number)
    {
        long batch = (number - 1) % _ids.Shape[0];
        _buffers["input_ids"].CopyFrom(_ids.Rows(batch, 1));
        _buffers["labels"].CopyFrom(_labels.Rows(batch, 1));
        _buffers["step"].Span<long>()[0] = number;
        _boundStep.Run();
        foreach (Update update in _updates)
        {
            _moments?.Fetch(update.InPlace.Select(name => _buffers[name]));
            update.Bound.Run();
            _moments?.Release(update.InPlace.Select(name => _buffers[name]));
        }
        return _buffers["loss"].Span<float>()[0];
    }

    public IReadOnlyList<string> EndProfiling() => [_step.EndProfiling(), .. _updates.Select(update => update.Session.EndProfiling())];

    public void Dispose()
    {
        foreach (IDisposable owned in (IDisposable[])[_boundStep, .. _updates.SelectMany(update => (IDisposable[])[update.Bound, update.Session]), _step, _ids, _labels, .. _buffers.Values])
            owned.Dispose();
        _moments?.Dispose();
    }

    private static (TensorBuffer Ids, TensorBuffer Labels) ReadBatches(string folder)
    {
        using SafetensorsFile file = Safetensors.Open(Path.Combine(folder, TrainData.Batches));
        return (Read("input_ids"), Read("labels"));

        TensorBuffer Read(string name) => TensorBuffer.Of(file.Span<long>(name), file[name].Shape.AsSpan());
    }

    /// <summary>One batch a step, so the gradient buffers are reset in each.</summary>
    private void AddScalars(TrainJob job)
    {
        _buffers["input_ids"] = TensorBuffer.Zeros(ElementType.Int64, job.Batch, job.Time);
        _buffers["labels"] = TensorBuffer.Zeros(ElementType.Int64, job.Batch, job.Time);
        _buffers["loss_scale"] = TensorBuffer.Of([1f / (job.Batch * job.Time)]);
        _buffers["lazy_reset_grad"] = TensorBuffer.Of([true], 1);
        _buffers["learning_rate"] = TensorBuffer.Of([job.LearningRate]);
        _buffers["step"] = TensorBuffer.Zeros(ElementType.Int64);
        _buffers["loss"] = TensorBuffer.Zeros(ElementType.Float);
        _buffers["gradient_norm"] = TensorBuffer.Zeros(ElementType.Float);
    }

    private void AddState(IEnumerable<ParameterInfo> parameters, IEnumerable<SafetensorsEntry> moments, string folder)
    {
        foreach (SafetensorsEntry moment in moments)
            _buffers[moment.Name] = _moments?[moment.Name] ?? TensorBuffer.Zeros(moment.Type, moment.Shape.AsSpan());
        using SafetensorsFile weights = Safetensors.Open(Path.Combine(folder, TrainData.Weights));
        foreach (ParameterInfo parameter in parameters)
        {
            foreach (string name in (string[])[parameter.Name, parameter.GradientBuffer])
                _buffers[name] = TensorBuffer.Zeros(ElementType.Float, parameter.Shape.AsSpan());
            weights.Read(parameter.Name, _buffers[parameter.Name]);
        }
    }

    private static IEnumerable<SafetensorsEntry> Moments(TrainingGraphs graphs)
    {
        HashSet<string> names = [.. graphs.Parameters.SelectMany(p => p.OptimizerStates)];
        return graphs.Optimizer.Inputs.Where(input => names.Contains(input.Name!)).Select(input => new SafetensorsEntry(input.Name!, input.Type, [.. input.Shape.ToArray()]));
    }

    private IEnumerable<Update> InParts(OptimizerParts parts, TrainJob job)
    {
        foreach (var (own, whole, shape, offset) in parts.Divided.SelectMany(group => group.Views))
            if (_buffers.TryGetValue(whole, out TensorBuffer? buffer)) _buffers[own] = buffer.View(offset, shape.AsSpan());
        return parts.Graphs.Select(graph => Part(graph, OptimizerParts.InPlaceOf(graph), job, null));
    }

    private Update Part(Graph graph, IEnumerable<(string Input, string Output)> inPlace, TrainJob job, string? profilePrefix)
    {
        OrtSession session = Session(graph, job, profilePrefix, "optimizer");
        return new(session, Bind(session, inPlace), [.. inPlace.Select(pair => pair.Input)]);
    }

    private static OrtSession Session(Graph graph, TrainJob job, string? profilePrefix, string name) =>
        new(OnnxFile.ToBytes(graph), new SessionSettings { Threads = job.Threads, SpinningBetweenRuns = false, ProfilePrefix = profilePrefix is null ? null : $"{profilePrefix}-{name}" });

    private BoundSession Bind(OrtSession session, IEnumerable<(string Input, string Output)> inPlace)
    {
        Dictionary<string, string> inputs = inPlace.ToDictionary(pair => pair.Output, pair => pair.Input);
        BoundSession bound = session.Bind();
        foreach (TensorInfo input in session.Inputs)
            bound.Input(input.Name, _buffers[input.Name]);
        foreach (TensorInfo output in session.Outputs)
            bound.Output(output.Name, _buffers[inputs.GetValueOrDefault(output.Name, output.Name)]);
        return bound;
    }

    /// <summary>The optimizer, or a part of it.</summary>
    /// <param name="InPlace">The inputs that it updates.</param>
    private sealed record Update(OrtSession Session, BoundSession Bound, IReadOnlyList<string> InPlace);
}
