using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Runs;

/// <summary>What a run in mixed precision says of itself when it starts: which operators compute in what.</summary>
internal static class PrecisionNote
{
    public static IEnumerable<string> Lines(RunConfig config, Graph step)
    {
        if (config.Precision == Precision.Fp32) yield break;
        var (name, type) = (config.Precision.ToString().ToLowerInvariant(), MixedPrecision.TypeOf(config.Precision).ToString().ToLowerInvariant());
        yield return FormattableString.Invariant($"precision {name}: {MixedPrecision.ProductCount(step)} matrix products a micro-batch in {type}; weights, gradients and state in float32");
        yield return $"kept in float32: {string.Join(", ", MixedPrecision.Kept(step).Select(k => FormattableString.Invariant($"{k.Op} × {k.Count}")))}";
        if (config.Step.Rounded)
            yield return $"on the CPU these products compute in float32 from operands rounded to {type} and round their results: {type}'s numbers, not its speed";
        if (config.Precision == Precision.Fp16)
            yield return FormattableString.Invariant($"loss scale from {config.LossScale.Initial}, doubled after {config.LossScale.GrowthInterval} updates without overflow");
    }
}
