namespace OnnxLlm.Benchmarks.Train;

/// <summary>GPT-2 in the sizes of the comparison: layers, width, heads, time, vocabulary, batch.</summary>
internal sealed record TrainSize(string Name, int Layers, int Width, int Heads, int Time, int Vocabulary, int Batch)
{
    /// <summary>XS only shows that both sides work; nothing is to be learned from its times.</summary>
    public static IReadOnlyList<TrainSize> All { get; } =
    [
        new("XS", 2, 64, 2, 32, 256, 4),
        new("S", 4, 256, 8, 256, 4096, 8),
        new("M", 6, 384, 6, 256, 8192, 8),
    ];

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
