using OnnxLlm.Training.Data;

namespace OnnxLlm.Training;

/// <summary>Sums token losses into their mean and standard error, in double precision.</summary>
internal sealed class LossStatistics
{
    private double _sum;
    private double _squares;

    public long Tokens { get; private set; }

    /// <summary>Token-weighted mean, in nats.</summary>
    public double Mean => _sum / Tokens;

    /// <summary>s/√n of the mean, s the sample standard deviation over tokens.</summary>
    public double StandardError => Math.Sqrt(Math.Max(0, (_squares - _sum * Mean) / Math.Max(1, Tokens - 1)) / Tokens);

    /// <summary>Adds the losses whose label is not ignored.</summary>
    public void Add(ReadOnlySpan<float> losses, ReadOnlySpan<long> labels)
    {
        for (var i = 0; i < losses.Length; i++)
        {
            if (labels[i] == BatchRow.Ignored) continue;
            double loss = losses[i];
            _sum += loss;
            _squares += loss * loss;
            Tokens++;
        }
    }
}
