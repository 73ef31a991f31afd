namespace OnnxLlm.Training.Runs;

/// <summary>What the command line decides about a process, as opposed to the run.</summary>
internal sealed record RunOptions
{
    /// <summary>The arguments, for the record.</summary>
    public required string Command { get; init; }

    /// <summary>Go on although the self-check of a resume found a difference.</summary>
    public bool AllowInexact { get; init; }
}
