using OnnxLlm.Graphs.Training;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Engine;

/// <summary>How an optimizer's state is kept out of memory: the file that holds it, and the graphs that need only parts of it at a time.</summary>
internal sealed record Offload(OptimizerParts Parts, string File)
{
    public static Offload? Of(RunConfig config, string file) => PartsOf(config) is { } parts ? new(parts, file) : null;

    /// <summary>Null where the config keeps the state in memory.</summary>
    public static OptimizerParts? PartsOf(RunConfig config) => config.OptimizerOffload == OptimizerOffload.None ? null : OptimizerParts.Of(config.Setup);
}
