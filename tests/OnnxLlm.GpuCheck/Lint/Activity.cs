namespace OnnxLlm.GpuCheck.Lint;

/// <summary>What the provider asked of the CUDA libraries.</summary>
internal sealed record Activity
{
    public long ToDevice { get; init; }

    public long ToHost { get; init; }

    public long OnDevice { get; init; }

    public long Synchronised { get; init; }

    public long Launched { get; init; }

    public long Captured { get; init; }

    public long Replayed { get; init; }

    /// <summary>Kernels by their mangled names, products by the function that was called.</summary>
    public required Dictionary<string, int> Kernels { get; init; }
}

/// <summary>The findings on one graph.</summary>
internal sealed record Finding
{
    public required string Graph { get; init; }

    /// <summary>Why it could not be loaded or run; null where all went well.</summary>
    public string? Error { get; init; }

    /// <summary>Nodes that ran, counted by "provider operator".</summary>
    public Dictionary<string, int> Nodes { get; init; } = [];

    /// <summary>A run like all but the first.</summary>
    public Activity? Run { get; init; }

    /// <summary>The first run of a session that captures.</summary>
    public Activity? Capture { get; init; }

    /// <summary>What is updated in place and did not keep its former content through that first run, in which the graph is executed several times over.</summary>
    public string[] Changed { get; init; } = [];

    /// <summary>A later one.</summary>
    public Activity? Replay { get; init; }
}
