using System.Collections.Immutable;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;

namespace OnnxLlm.Tests.Training;

/// <summary>A real engine whose losses are spoilt for chosen data, whenever that data comes along.</summary>
internal sealed class FaultyEngine(ITrainingEngine engine) : ITrainingEngine
{
    /// <summary>What becomes of the loss of a micro-batch.</summary>
    public Func<MicroBatch, float, float> Loss { get; init; } = (_, loss) => loss;

    /// <summary>A validation loss in place of the measured one.</summary>
    public Func<float>? Validation { get; init; }

    public float Accumulate(MicroBatch batch, bool reset, float lossScale) => Loss(batch, engine.Accumulate(batch, reset, lossScale));

    public float Update(double learningRate, long update) => engine.Update(learningRate, update);

    public ReadOnlySpan<float> Evaluate(MicroBatch batch)
    {
        var losses = engine.Evaluate(batch).ToArray();
        if (Validation is not null) Array.Fill(losses, Validation());
        return losses;
    }

    public void Save(string folder) => engine.Save(folder);

    public void Load(string folder) => engine.Load(folder);

    public ImmutableArray<LayerMetrics> Layers(MicroBatch batch) => engine.Layers(batch);

    public void Dispose() => engine.Dispose();
}
