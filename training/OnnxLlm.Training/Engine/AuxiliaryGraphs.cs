using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Engine;

/// <summary>Graphs that look at a model in training; null for those that the run has no use for.</summary>
/// <param name="Activations">As made by <see cref="ActivationGraph"/>.</param>
/// <param name="Sampling">As made by <see cref="SamplingGraph"/>.</param>
internal sealed record AuxiliaryGraphs(Graph? Activations, Graph? Sampling)
{
    public static AuxiliaryGraphs None { get; } = new(null, null);

    public static AuxiliaryGraphs Of(RunConfig config) => new(
        config.Stability.StatisticsEvery > 0 ? TrainingGraphs.ForTarget(ActivationGraph.Create(config.Model, config.Setup.Shape), config.Step.Target) : null,
        config.Samples.Every > 0 ? TrainingGraphs.ForTarget(SamplingGraph.Create(config.Model, config.Time), config.Step.Target) : null);
}
