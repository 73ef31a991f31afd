using System.Collections.Immutable;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// What the trainer asks of whatever runs the graphs. An engine owns weights, gradients and optimizer state; it knows nothing of schedules,
/// data order or files beyond the folder that it is told to save to.
/// </summary>
internal interface ITrainingEngine : IDisposable
{
    /// <summary>
    /// Runs a micro-batch forward and backward and adds its gradients to those summed so far, or starts a new sum (<paramref name="reset"/>).
    /// Returns <paramref name="lossScale"/> times the sum of its token losses; with 1 / (valid tokens of the global batch), losses and
    /// gradients of the micro-batches add up to those of the whole.
    /// </summary>
    float Accumulate(MicroBatch batch, bool reset, float lossScale);

    /// <summary>
    /// Clips the summed gradients and updates parameters and optimizer state; <paramref name="update"/> counts from 1.
    /// Returns the gradients' norm before clipping; where it is not finite, nothing was changed.
    /// </summary>
    float Update(double learningRate, long update);

    /// <summary>The loss of every label of the micro-batch, row by row, 0 where it is ignored; valid until the next call.</summary>
    ReadOnlySpan<float> Evaluate(MicroBatch batch);

    /// <summary>The likeliest label of each sequence of the micro-batch that was evaluated last; none where the model is no classifier.</summary>
    ReadOnlySpan<long> Predictions => [];

    /// <summary>The shape of the pieces in which micro-batches are run; null where the engine knows only whole ones.</summary>
    TrainingShape? Pieces => null;

    /// <summary>
    /// From now on runs micro-batches in pieces of another shape; their tokens must divide those of a micro-batch. Weights, gradients and
    /// optimizer state stay as they are.
    /// </summary>
    void Reshape(TrainingShape pieces) => throw new NotSupportedException();

    /// <summary>The factor of the gradients while they are computed; null where there is none.</summary>
    LossScaler? Scaler => null;

    /// <summary>Writes <c>model.safetensors</c> and the optimizer's state, from which <see cref="TrainingEngines"/> opens the same engine again.</summary>
    void Save(string folder);

    /// <summary>Goes back to what <see cref="Save"/> wrote.</summary>
    void Load(string folder);

    /// <summary>
    /// What each layer's gradients (of the update just made), weights and, for the sequences of <paramref name="batch"/>, activations look like;
    /// nothing where the engine does not show them.
    /// </summary>
    ImmutableArray<LayerMetrics> Layers(MicroBatch batch) => [];

    /// <summary>The scores of every token of the vocabulary to come after <paramref name="tokens"/>, at most the run's sequence length; none where the engine cannot tell.</summary>
    ReadOnlySpan<float> NextLogits(ReadOnlySpan<int> tokens) => [];
}
