using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>A setting of the runner that takes less memory; run once, after the rounds.</summary>
/// <param name="Setting">In words.</param>
/// <param name="Goal">What the goal of its memory is called.</param>
/// <param name="Arguments">Of our side's process.</param>
/// <param name="Exact">Whether it is the same training: its losses are then held to those of the peer.</param>
internal sealed record TrainVariant(string Setting, string Goal, IReadOnlyList<string> Arguments, bool Exact)
{
    private static readonly string[] InFile = ["--offload"], InBytes = ["--moments", nameof(Moments.Int8)];

    public static IReadOnlyList<TrainVariant> All { get; } =
    [
        new("`optimizer_offload: disk`", "offloaded", InFile, Exact: true),
        new("`optimizer.moments: int8`", "int8-moments", InBytes, Exact: false),
        new("both", "offloaded-int8-moments", [.. InFile, .. InBytes], Exact: false),
    ];
}
