using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// Runs the training graphs on stock ONNX Runtime. Owns the sessions and the tensors; every state tensor is bound once, as input and output
/// of the graph that updates it, so a step copies nothing but the token ids.
/// </summary>
internal sealed class OnnxTrainingEngine : ITrainingEngine
{
    private readonly OrtSession[] _sessions;
    private readonly BoundSession _step;
    private readonly BoundSession _evaluation;
    private readonly BoundSession _optimizer;

    private readonly TensorBuffer _inputIds;
    private readonly TensorBuffer _labels;
    private readonly TensorBuffer _lossScale = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _reset = TensorBuffer.Zeros(ElementType.Bool, 1);
    private readonly TensorBuffer _loss = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _tokenLosses;
    private readonly TensorBuffer _learningRate = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _updateCount = TensorBuffer.Zeros(ElementType.Int64);
    private readonly TensorBuffer _inverseLossScale = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _gradientNorm = TensorBuffer.Zeros(ElementType.Float);

    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly AuxiliarySession? _activations;
    private readonly AuxiliarySession? _sampling;

    public OnnxTrainingEngine(TrainingGraphs graphs, TrainingShape shape, SessionSettings settings, AuxiliaryGraphs? auxiliary = null)
    {
        _parameters = graphs.Parameters;
        Tensors = new TrainingTensors(graphs);
        _inputIds = TensorBuffer.Zeros(ElementType.Int64, shape.Batch, shape.Time);
        _labels = TensorBuffer.Zeros(ElementType.Int64, shape.Batch, shape.Time);
        _tokenLosses = TensorBuffer.Zeros(ElementType.Float, shape.Batch * shape.Time);
        _sessions = [.. new[] { graphs.Step, graphs.Evaluation, graphs.Optimizer }.Select(graph => new OrtSession(OnnxFile.ToBytes(graph), settings))];
        _step = Bind(_sessions[0], graphs.StepInPlace);
        _evaluation = Bind(_sessions[1], []);
        _optimizer = Bind(_sessions[2], graphs.OptimizerInPlace);
        _activations = Auxiliary(auxiliary?.Activations, settings);
        _sampling = Auxiliary(auxiliary?.Sampling, settings);
    }

    /// <summary>Null where the gradients carry no factor.</summary>
    public LossScaler? Scaler { get; init; }

    /// <summary>Parameters, gradients and moments.</summary>
    public TrainingTensors Tensors { get; }

    public float Accumulate(MicroBatch batch, bool reset, float lossScale)
    {
        Feed(batch);
        _reset.Span<bool>()[0] = reset;
        _lossScale.Span<float>()[0] = lossScale * GradientScale;
        _step.Run();
        return _loss.Span<float>()[0] / GradientScale;
    }

    public float Update(double learningRate, long update)
    {
        _learningRate.Span<float>()[0] = (float)learningRate;
        _updateCount.Span<long>()[0] = update;
        _inverseLossScale.Span<float>()[0] = 1 / GradientScale;
        _optimizer.Run();
        var norm = _gradientNorm.Span<float>()[0];
        Scaler?.Observe(float.IsFinite(norm));
        return norm;
    }

    public ReadOnlySpan<float> Evaluate(MicroBatch batch)
    {
        Feed(batch);
        _evaluation.Run();
        return _tokenLosses.Span<float>();
    }

    public void Save(string folder)
    {
        Tensors.Save(folder);
        Scaler?.Save(folder);
    }

    public void Load(string folder)
    {
        Tensors.Load(folder);
        Scaler?.Load(folder);
    }

    public ImmutableArray<LayerMetrics> Layers(MicroBatch batch)
    {
        var norms = LayerStatistics.Norms(_parameters, Tensors, _inverseLossScale.Span<float>()[0]);
        if (_activations is null) return norms;
        Feed(batch);
        _activations.Run();
        float[] Of(string name) => _activations[name].Span<float>().ToArray();
        return norms.With(new ActivationMoments(Of(ActivationGraph.Mean), Of(ActivationGraph.Deviation), Of(ActivationGraph.Max)));
    }

    public ReadOnlySpan<float> NextLogits(ReadOnlySpan<int> tokens)
    {
        if (_sampling is null) return [];
        var ids = _sampling[SamplingGraph.Ids].Span<long>();
        for (var i = 0; i < ids.Length; i++) ids[i] = i < tokens.Length ? tokens[i] : 0;        // what comes later cannot be seen
        _sampling[SamplingGraph.Position].Span<long>()[0] = tokens.Length - 1;
        _sampling.Run();
        return _sampling[SamplingGraph.Logits].Span<float>();
    }

    public void Dispose()
    {
        IEnumerable<IDisposable> owned =
        [
            _step, _evaluation, _optimizer, .. _sessions, Tensors,
            _inputIds, _labels, _lossScale, _reset, _loss, _tokenLosses, _learningRate, _updateCount, _inverseLossScale, _gradientNorm,
        ];
        _activations?.Dispose();
        _sampling?.Dispose();
        foreach (var item in owned) item.Dispose();
    }

    private float GradientScale => Scaler?.Scale ?? 1;

    private AuxiliarySession? Auxiliary(Graph? graph, SessionSettings settings) =>
        graph is null ? null : new AuxiliarySession(graph, settings, name => name == "input_ids" ? _inputIds : Tensors.Find(name));

    private void Feed(MicroBatch batch)
    {
        batch.InputIds.CopyTo(_inputIds.Span<long>());
        batch.Labels.CopyTo(_labels.Span<long>());
    }

    /// <summary>Binds every input and output by name; an output that is updated in place gets the buffer of its input.</summary>
    private BoundSession Bind(OrtSession session, IEnumerable<(string Input, string Output)> inPlace)
    {
        var inputOf = inPlace.ToDictionary(pair => pair.Output, pair => pair.Input);
        var bound = session.Bind();
        foreach (var input in session.Inputs) bound.Input(input.Name, Buffer(input.Name));
        foreach (var output in session.Outputs) bound.Output(output.Name, Buffer(inputOf.GetValueOrDefault(output.Name, output.Name)));
        return bound;
    }

    private TensorBuffer Buffer(string name) => name switch
    {
        "input_ids" => _inputIds,
        "labels" => _labels,
        "loss_scale" => _lossScale,
        "lazy_reset_grad" => _reset,
        "loss" => _loss,
        "token_losses" => _tokenLosses,
        "learning_rate" => _learningRate,
        "step" => _updateCount,
        "inverse_loss_scale" => _inverseLossScale,
        "gradient_norm" => _gradientNorm,
        _ => Tensors[name],
    };
}
