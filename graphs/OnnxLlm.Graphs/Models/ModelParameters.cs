using System.Collections.Immutable;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.Models;

/// <summary>What can be said of a model before it is trained: its parameters, counted from the graph itself.</summary>
public static class ModelParameters
{
    /// <summary>Every parameter, in the order of the graph's inputs.</summary>
    public static ImmutableArray<ParameterInfo> Of(ModelConfig config) =>
        [.. TrainingGraphs.LogitsGraph(config.Validated(), new(Batch: 1, Time: 1)).Parameters.Select(TrainingGraphs.Describe)];

    /// <summary>Whether a parameter is of the part that turns an encoder into a classifier, which no other training gives.</summary>
    public static bool IsClassificationHead(string name) => name.StartsWith("bert.pooler.", StringComparison.Ordinal) || name.StartsWith("classifier.", StringComparison.Ordinal);

    public static long Count(ModelConfig config) => Of(config).Sum(p => p.Count);
}
