namespace OnnxLlm.Runtime.OrtTraining;

/// <summary>The files that a session of ORT Training is opened with.</summary>
public sealed record TrainingSessionFiles(string Checkpoint, string TrainingModel, string EvaluationModel, string OptimizerModel);

/// <summary>
/// A session of ORT Training with the state that it trains: <c>TrainingSession</c> and <c>CheckpointState</c> of the C# binding, as far as an engine
/// needs them. Tensors go in and out by position, in the order of the models' inputs and outputs.
/// </summary>
public interface ITrainingSession : IDisposable
{
    /// <summary>The next training step forgets the gradients summed so far.</summary>
    void LazyResetGrad();

    /// <summary>Runs the training model: forward, backward, and the gradients added to those summed so far.</summary>
    void TrainStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs);

    /// <summary>Runs the evaluation model.</summary>
    void EvaluationStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs);

    /// <summary>The learning rate of the optimizer steps from now on.</summary>
    void SetLearningRate(float learningRate);

    /// <summary>Updates the parameters from the summed gradients.</summary>
    void OptimizerStep();

    /// <summary>Writes parameters, moments and the number of steps to a file from which a session can be opened.</summary>
    void SaveCheckpoint(string path);

    /// <summary>Copies all parameters, frozen ones too, in the order of the training model's inputs, into a float32 buffer of their number.</summary>
    void CopyParameters(TensorBuffer target);

    /// <summary>Writes the evaluation model with the present weights, cut down to the values that are asked for.</summary>
    void ExportForInference(string path, params string[] outputs);
}
