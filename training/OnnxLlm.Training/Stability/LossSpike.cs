using System.Collections.Immutable;

namespace OnnxLlm.Training.Stability;

/// <summary>A loss far above those before it. Known before the update is made, and so in time to leave it out.</summary>
internal sealed record LossSpike(double Loss, double Mean, double Sigmas)
{
    /// <summary>Losses before a deviation means anything.</summary>
    private const int MinimumLosses = 20;

    /// <summary>The spike that <paramref name="loss"/> is, or null. Deviations are counted in standard deviations of the recent losses.</summary>
    public static LossSpike? Of(double loss, ImmutableArray<double> recent, double threshold)
    {
        if (threshold <= 0 || recent.Length < MinimumLosses || !double.IsFinite(loss)) return null;
        var mean = recent.Average();
        var deviation = Math.Sqrt(recent.Sum(l => (l - mean) * (l - mean)) / recent.Length);
        return loss - mean > threshold * deviation ? new LossSpike(loss, mean, (loss - mean) / deviation) : null;
    }

    public override string ToString() => FormattableString.Invariant($"the loss jumped to {Loss:0.000}, {Sigmas:0.0} deviations above the recent mean of {Mean:0.000}");
}
