using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.OrtTraining;

/// <summary>The session of the native library. Every call is one call of the binding; errors carry the library's own message.</summary>
public sealed class OrtTrainingSession
#if ORT_TRAINING
    : ITrainingSession
{
    private readonly CheckpointState _state;
    private readonly TrainingSession _session;

    private OrtTrainingSession(CheckpointState state, TrainingSession session) => (_state, _session) = (state, session);

    /// <summary>Opens a session.</summary>
    /// <exception cref="ModelRuntimeException">The library has no training API, or refuses a file.</exception>
    public static ITrainingSession Open(TrainingSessionFiles files, SessionSettings settings)
    {
        TrainingApi.Require();
        using var options = OrtSession.Options(settings with { Kernels = false });
        var state = Try($"loading {files.Checkpoint}", () => CheckpointState.LoadCheckpoint(files.Checkpoint));
        try
        {
            return new OrtTrainingSession(state, Try("opening the training session", () =>
                new TrainingSession(options, state, files.TrainingModel, files.EvaluationModel, files.OptimizerModel)));
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    public void LazyResetGrad() => Try("resetting the gradients", _session.LazyResetGrad);

    public void TrainStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs) =>
        Run("a training step", _session.TrainStep, inputs, outputs);

    public void EvaluationStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs) =>
        Run("an evaluation step", _session.EvalStep, inputs, outputs);

    public void SetLearningRate(float learningRate) => Try("setting the learning rate", () => _session.SetLearningRate(learningRate));

    public void OptimizerStep() => Try("an optimizer step", _session.OptimizerStep);

    public void SaveCheckpoint(string path) => Try($"saving {path}", () => CheckpointState.SaveCheckpoint(_state, path, includeOptimizerState: true));

    public void CopyParameters(TensorBuffer target)
    {
        using var all = Try("copying the parameters", () => _session.ToBuffer(onlyTrainable: false));
        Copy(all, target);
    }

    public void ExportForInference(string path, params string[] outputs) => Try($"exporting {path}", () => _session.ExportModelForInferencing(path, outputs));

    /// <summary>The session reads the state until it is gone.</summary>
    public void Dispose()
    {
        _session.Dispose();
        _state.Dispose();
    }

    private static void Run(
        string what, Func<IReadOnlyCollection<OrtValue>, IDisposableReadOnlyCollection<OrtValue>> step, IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs)
    {
        OrtValue[] feeds = [.. inputs.Select(BoundSession.Value)];
        try
        {
            using var results = Try(what, () => step(feeds));
            foreach (var (result, output) in results.Zip(outputs)) Copy(result, output);
        }
        finally
        {
            foreach (var feed in feeds) feed.Dispose();
        }
    }

    private static void Copy(OrtValue source, TensorBuffer target)
    {
        var bytes = source.GetTensorMutableRawData();
        if (bytes.Length != target.Bytes) throw new ModelRuntimeException($"ORT Training gave {bytes.Length} bytes where {target.Bytes} were expected.");
        bytes.CopyTo(target.RawBytes());
    }

    private static void Try(string what, Action action) => Try(what, () =>
    {
        action();
        return true;
    });

    private static T Try<T>(string what, Func<T> action) => OrtSession.Try($"ORT Training, {what}", action);
}
#else
{
    private OrtTrainingSession()
    {
    }

    /// <summary>The binding of this package has no training classes: always fails.</summary>
    /// <exception cref="ModelRuntimeException">Says which package has them.</exception>
    public static ITrainingSession Open(TrainingSessionFiles files, SessionSettings settings)
    {
        TrainingApi.Require();
        throw new ModelRuntimeException($"{files.Checkpoint} cannot be opened.");
    }
}
#endif
