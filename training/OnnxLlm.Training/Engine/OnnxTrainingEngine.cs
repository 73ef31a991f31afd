using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// Runs the training graphs on stock ONNX Runtime. Owns the sessions and the tensors; every state tensor is bound once, as input and output
/// of the graph that updates it, so a step copies nothing but the token ids and a few
/// scalars.
/// </summary>
internal sealed class OnnxTrainingEngine : ITrainingEngine
{
    private readonly SessionSettings _settings;
    private readonly TrainingShape _shape;
    private readonly OptimizerSessions _optimizer;
    private PieceSession _step;
    private PieceSession _evaluation;

    private readonly MirroredTensor _lossScale, _reset, _loss, _learningRate, _updateCount, _inverseLossScale, _gradientNorm;
    private readonly float[] _tokenLosses;
    private readonly long[] _predictions;

    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly AuxiliarySession? _activations;
    private readonly AuxiliarySession? _sampling;

    public OnnxTrainingEngine(TrainingGraphs graphs, TrainingShape shape, SessionSettings settings, AuxiliaryGraphs? auxiliary = null, Offload? offload = null)
    {
        (_parameters, _shape, _settings) = (graphs.Parameters, shape, settings);
        Tensors = new TrainingTensors(graphs, settings.Device, offload);
        (_lossScale, _loss) = (Scalar(ElementType.Float), Scalar(ElementType.Float));
        (_learningRate, _gradientNorm, _inverseLossScale) = (Scalar(ElementType.Float), Scalar(ElementType.Float), Scalar(ElementType.Float));
        _updateCount = Scalar(ElementType.Int64);
        _reset = new MirroredTensor(settings.Device, ElementType.Bool, 1);
        SessionSettings brief = settings with { GivesBackMemory = offload is not null };    // a validation and an update do not need their memory at the same time
        _optimizer = offload is null ? OptimizerSessions.Whole(graphs, settings, Buffer) : OptimizerSessions.InParts(offload.Parts, brief, Buffer, Tensors.Fetch, Tensors.Release);
        _step = new PieceSession(graphs.Step, shape, settings, graphs.StepInPlace, Buffer);
        _evaluation = new PieceSession(graphs.Evaluation, shape, brief, [], Buffer);
        (_tokenLosses, _predictions) = (new float[_evaluation.Labels], new long[_evaluation.Predicts ? _evaluation.Labels : 0]);
        _activations = Auxiliary(auxiliary?.Activations, settings);
        _sampling = Auxiliary(auxiliary?.Sampling, settings);
    }

    /// <summary>Makes the graphs for pieces of another shape; null where there are none.</summary>
    public Func<TrainingShape, TrainingGraphs>? Graphs { get; init; }

    public TrainingShape? Pieces => Graphs is null ? null : _step.Shape;

    /// <summary>Null where the gradients carry no factor.</summary>
    public LossScaler? Scaler { get; init; }

    /// <summary>Parameters, gradients and moments.</summary>
    public TrainingTensors Tensors { get; }

    public float Accumulate(MicroBatch batch, bool reset, float lossScale)
    {
        var loss = 0f;
        _lossScale.Set(lossScale * GradientScale);
        for (var piece = 0; piece < _step.Pieces(batch); piece++)
        {
            _reset.Set(reset && piece == 0);
            _step.Run(batch, piece);
            loss += _loss.Get<float>();
        }
        return loss / GradientScale;
    }

    public float Update(double learningRate, long update)
    {
        _learningRate.Set((float)learningRate);
        _updateCount.Set(update);
        _inverseLossScale.Set(1 / GradientScale);
        _optimizer.Run();
        var norm = _gradientNorm.Get<float>();
        Scaler?.Observe(float.IsFinite(norm));
        return norm;
    }

    public ReadOnlySpan<float> Evaluate(MicroBatch batch)
    {
        for (var piece = 0; piece < _evaluation.Pieces(batch); piece++)
        {
            _evaluation.Run(batch, piece);
            _evaluation.TokenLosses.CopyTo(_tokenLosses.AsSpan(piece * _evaluation.Labels));
            if (_evaluation.Predicts) _evaluation.Predictions.CopyTo(_predictions.AsSpan(piece * _evaluation.Labels));
        }
        return _tokenLosses;
    }

    public ReadOnlySpan<long> Predictions => _predictions;

    /// <summary>Sequences are cut for training only: a validation always sees them whole. The old sessions go first, so that both never need memory at once.</summary>
    public void Reshape(TrainingShape pieces)
    {
        var whole = new TrainingShape(PieceSession.Rows(_shape.Batch, pieces.Batch * pieces.Time / _shape.Time), _shape.Time);
        var (step, evaluation) = (Graphs!(pieces), Graphs(whole));
        _step.Dispose();
        _evaluation.Dispose();
        _step = new PieceSession(step.Step, pieces, _settings, step.StepInPlace, Buffer);
        _evaluation = new PieceSession(evaluation.Evaluation, whole, _settings, [], Buffer);
        NativeHeap.ReturnGarbage();
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
        var norms = LayerStatistics.Norms(_parameters, Tensors, _inverseLossScale.Host.Span<float>()[0]);
        if (_activations is null) return norms;
        batch.InputIds.CopyTo(_activations["input_ids"].Span<long>());
        if (_activations.Has("attention_mask")) batch.AttentionMask.CopyTo(_activations["attention_mask"].Span<long>());
        if (_activations.Has("decoder_input_ids")) batch.DecoderInputIds.CopyTo(_activations["decoder_input_ids"].Span<long>());
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
            _step, _evaluation, _optimizer, Tensors,
            _lossScale, _reset, _loss, _learningRate, _updateCount, _inverseLossScale, _gradientNorm,
        ];
        _activations?.Dispose();
        _sampling?.Dispose();
        foreach (var item in owned) item.Dispose();
    }

    private float GradientScale => Scaler?.Scale ?? 1;

    private AuxiliarySession? Auxiliary(Graph? graph, SessionSettings settings) => graph is null ? null : new AuxiliarySession(graph, settings, Tensors.Find);

    private MirroredTensor Scalar(ElementType type) => new(_settings.Device, type);

    private TensorBuffer Buffer(string name) => name switch
    {
        "loss_scale" => _lossScale.OnDevice,
        "lazy_reset_grad" => _reset.OnDevice,
        "loss" => _loss.OnDevice,
        "learning_rate" => _learningRate.OnDevice,
        "step" => _updateCount.OnDevice,
        "inverse_loss_scale" => _inverseLossScale.OnDevice,
        "gradient_norm" => _gradientNorm.OnDevice,
        _ => Tensors[name],
    };
}
