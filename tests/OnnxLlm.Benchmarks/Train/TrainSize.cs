namespace OnnxLlm.Benchmarks.Train;

/// <summary>What a size aims at: time of a step and peak memory as shares of the peer's, and arithmetic (attention counted in full) as a share of the measured peak.</summary>
internal sealed record TrainGoals(double TimeRatio, double MemoryRatio, double PeakShare);

/// <summary>GPT-2 in the sizes of the comparison: layers, width, heads, time, vocabulary, batch.</summary>
internal sealed record TrainSize(string Name, int Layers, int Width, int Heads, int Time, int Vocabulary, int Batch)
{
    /// <summary>XS only shows that both sides work; nothing is to be learned from its times.</summary>
    public static IReadOnlyList<TrainSize> All { get; } =
    [
        new("XS", 2, 64, 2, 32, 256, 4),
        new("S", 4, 256, 8, 256, 4096, 8) { Goals = new(0.40, 0.40, 0.80) },
        new("M", 6, 384, 6, 256, 8192, 8) { Goals = new(0.42, 0.40, 0.82) },
        new("L", 12, 768, 12, 256, 50304, 4) { Goals = new(0.37, 0.45, 0.82) },
        new("X", 12, 768, 12, 1024, 50304, 1) { Goals = new(0.25, 0.40, 0.90) },
    ];

    /// <summary>Null where nothing is aimed at.</summary>
    public TrainGoals? Goals { get; init; }

    public int TokensPerStep => Batch * Time;

    /// <summary>
    /// Multiply-adds of a step's matrix products as floating-point operations: 6 per weight and token, and the attention scores and
    /// sums of a full (not causal) square, forward once and backward twice.
    /// </summary>
    public double OperationsPerStep =>
        6.0 * (12.0 * Layers * Width * Width + (double)Vocabulary * Width) * TokensPerStep
        + 12.0 * Layers * Width * Time * TokensPerStep;

    public static TrainSize Named(string name) => All.FirstOrDefault(size => size.Name == name)
        ?? throw new BenchmarkException($"There is no size {name}; there are {string.Join(", ", All.Select(size => size.Name))}.");
}
