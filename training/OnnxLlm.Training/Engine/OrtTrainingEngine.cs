using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.OrtTraining;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// Runs the genuine ORT Training runtime. Weights, gradients and moments are its own; what goes in and out are token ids, losses and, for a checkpoint,
/// the weights. Its optimizer reports no norm, so the training graph does, and a step whose norm is not finite is not handed to it.
/// </summary>
internal sealed class OrtTrainingEngine : ITrainingEngine
{
    /// <summary>What the runtime exports for inference, beside the checkpoint's other files.</summary>
    public const string InferenceModel = "inference_model.onnx";

    private readonly Func<string, ITrainingSession> _open;
    private readonly ImmutableArray<ParameterInfo> _parameters;
    private readonly TensorBuffer _inputIds;
    private readonly TensorBuffer _labels;
    private readonly TensorBuffer _lossScale = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _loss = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _gradientNorm = TensorBuffer.Zeros(ElementType.Float);
    private readonly TensorBuffer _tokenLosses;
    private ITrainingSession _session;

    /// <param name="open">Opens a session that begins with the checkpoint in a folder; see <see cref="Files"/>.</param>
    /// <param name="folder">The folder to begin with.</param>
    public OrtTrainingEngine(Func<string, ITrainingSession> open, string folder, TrainingSetup setup)
    {
        (_open, _session, _parameters) = (open, open(folder), setup.Parameters());
        var shape = setup.Shape;
        _inputIds = TensorBuffer.Zeros(ElementType.Int64, shape.Batch, shape.Time);
        _labels = TensorBuffer.Zeros(ElementType.Int64, shape.Batch, shape.Time);
        _tokenLosses = TensorBuffer.Zeros(ElementType.Float, shape.Batch * shape.Time);
    }

    /// <summary>The files of a session.</summary>
    /// <param name="artifacts">Folder of the models.</param>
    /// <param name="checkpoint">Folder of the checkpoint: one that <see cref="Save"/> wrote to, or the artifacts themselves with the fresh weights.</param>
    public static TrainingSessionFiles Files(string artifacts, string checkpoint) => new(
        Path.Combine(checkpoint, TrainingFolder.Checkpoint),
        Path.Combine(artifacts, TrainingFolder.StepModel),
        Path.Combine(artifacts, TrainingFolder.EvaluationModel),
        Path.Combine(artifacts, TrainingFolder.OptimizerModel));

    public float Accumulate(MicroBatch batch, bool reset, float lossScale)
    {
        Feed(batch);
        _lossScale.Span<float>()[0] = lossScale;
        if (reset) _session.LazyResetGrad();
        _session.TrainStep([_inputIds, _labels, _lossScale], [_loss, _gradientNorm]);
        return _loss.Span<float>()[0];
    }

    /// <summary>The runtime counts its updates itself, as many as the trainer does: neither counts a step that is left out.</summary>
    public float Update(double learningRate, long update)
    {
        float norm = _gradientNorm.Span<float>()[0];
        if (!float.IsFinite(norm)) return norm;
        _session.SetLearningRate((float)learningRate);
        _session.OptimizerStep();
        return norm;
    }

    public ReadOnlySpan<float> Evaluate(MicroBatch batch)
    {
        Feed(batch);
        _session.EvaluationStep([_inputIds, _labels], [_tokenLosses]);
        return _tokenLosses.Span<float>();
    }

    /// <summary>The runtime's own checkpoint, with moments and step; the weights as everyone reads them; and the model without its training.</summary>
    public void Save(string folder)
    {
        _session.SaveCheckpoint(Path.Combine(folder, TrainingFolder.Checkpoint));
        using var all = TensorBuffer.Zeros(ElementType.Float, _parameters.Sum(p => p.Count));
        _session.CopyParameters(all);
        Safetensors.Write(Path.Combine(folder, PackageManifest.WeightsFile), Slices(all), TrainingTensors.Metadata);
        _session.ExportForInference(Path.Combine(folder, InferenceModel), "logits");
    }

    /// <summary>The runtime cannot load into a session, so there is a new one.</summary>
    public void Load(string folder)
    {
        _session.Dispose();
        _session = _open(folder);
    }

    public void Dispose()
    {
        IEnumerable<IDisposable> owned = [_session, _inputIds, _labels, _lossScale, _loss, _gradientNorm, _tokenLosses];
        foreach (var item in owned) item.Dispose();
    }

    /// <summary>The parameters lie one after the other, in the order of the graph's inputs.</summary>
    private IEnumerable<SafetensorsSource> Slices(TensorBuffer all)
    {
        long offset = 0;
        foreach (var p in _parameters)
        {
            yield return SafetensorsSource.Of(p.Name, all.View(offset, p.Shape.AsSpan()));
            offset += p.Count;
        }
    }

    private void Feed(MicroBatch batch)
    {
        batch.InputIds.CopyTo(_inputIds.Span<long>());
        batch.Labels.CopyTo(_labels.Span<long>());
    }
}
