using System.Collections.Immutable;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.Models;

/// <summary>What can be said of a decoder before it is trained: its parameters, counted from the graph itself.</summary>
public static class Decoders
{
    /// <summary>Every parameter, in the order of the graph's inputs.</summary>
    public static ImmutableArray<ParameterInfo> Parameters(ModelConfig config) =>
        [.. TrainingGraphs.LogitsGraph(config.Validated(), new(Batch: 1, Time: 1)).Parameters.Select(TrainingGraphs.Describe)];

    public static long ParameterCount(ModelConfig config) => Parameters(config).Sum(p => p.Count);
}
