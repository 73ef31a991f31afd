namespace OnnxLlm.Training.Configuration;

/// <summary>
/// A number of steps in which every sequence is cut into shorter ones. The tokens, their order and their number per step are those of a run without
/// stages; only how far a token sees back is shorter.
/// </summary>
public sealed record StageConfig
{
    public required int Steps { get; init; }

    /// <summary>Divides the run's <c>sequence_length</c>.</summary>
    public required int SequenceLength { get; init; }
}
