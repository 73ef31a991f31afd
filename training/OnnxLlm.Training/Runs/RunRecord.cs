using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Runs;

/// <summary>Where a run came from: <c>run.json</c>. Holds what it takes to repeat the run, and nothing that names a person or a machine.</summary>
internal sealed record RunRecord
{
    public const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    /// <summary>When the run began, UTC, ISO 8601.</summary>
    public required string Started { get; init; }

    /// <summary>The arguments of the runner.</summary>
    public required string Command { get; init; }

    public required CodeRecord Code { get; init; }

    public required VersionsRecord Versions { get; init; }

    public required MachineRecord Machine { get; init; }

    public required DataRecord Data { get; init; }

    /// <summary>SHA-256 of the weights that the run began with; absent where they were fresh.</summary>
    public string? InitialWeights { get; init; }

    public required long Parameters { get; init; }

    /// <summary>SHA-256 of the config below; every checkpoint repeats it.</summary>
    public required string ConfigHash { get; init; }

    public required RunConfig Config { get; init; }
}

/// <summary>State of the source tree; null where git or the tree is absent.</summary>
internal sealed record CodeRecord(string? Commit, bool? Modified);

internal sealed record VersionsRecord(string OnnxLlm, string OnnxRuntime, string Dotnet, string System);

internal sealed record MachineRecord(string Architecture, int Processors, double MemoryGib);

/// <summary>The data by content. The validation hash covers the very tokens that every validation measures.</summary>
internal sealed record DataRecord(long TrainingTokens, long ValidationTokens, string Shards, string Tokenizer, string Validation);
