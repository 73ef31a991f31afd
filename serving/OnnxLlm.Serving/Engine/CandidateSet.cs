namespace OnnxLlm.Serving.Engine;

/// <summary>
/// The tokens that top-k, top-p and min-p leave, and a draw among them. Each restriction applies to what the one before left.
/// Only tokens that can survive are sorted, which for a trained model is a handful of the vocabulary.
/// </summary>
internal sealed class CandidateSet(int vocabularySize)
{
    private readonly Candidate[] _candidates = new Candidate[vocabularySize];
    private readonly int[] _best = new int[vocabularySize];

    private readonly record struct Candidate(float Weight, int Token);

    /// <param name="weights">[V] probabilities up to a common factor; the highest is 1.</param>
    /// <param name="uniform">A number in [0, 1).</param>
    public int Draw(ReadOnlySpan<float> weights, SamplingSettings settings, double uniform)
    {
        var (kept, total) = settings.TopK > 0 && settings.TopK < weights.Length ? TakeBest(weights, settings.TopK) : TakeAbove(weights, settings);
        kept = Nucleus(kept, total * settings.TopP);
        kept = Likely(kept, settings.MinP);
        return Pick(kept, uniform);
    }

    /// <summary>The k best, and what they weigh.</summary>
    private (int Kept, double Total) TakeBest(ReadOnlySpan<float> weights, int k)
    {
        var best = _best.AsSpan(0, k);
        BestTokens.Select(weights, best);
        for (var i = 0; i < best.Length; i++) _candidates[i] = new Candidate(weights[best[i]], best[i]);
        return (best.Length, Weight(best.Length));
    }

    /// <summary>All that can survive, sorted, and what the whole vocabulary weighs.</summary>
    /// <remarks>
    /// Tokens lighter than (1 − top_p) / V of the total weigh less than 1 − top_p together, so the others hold more than top_p
    /// and, being the heaviest, contain the nucleus. Without top-p the bound is min-p, loosened by more than a rounding error.
    /// </remarks>
    private (int Kept, double Total) TakeAbove(ReadOnlySpan<float> weights, SamplingSettings settings)
    {
        var total = 0.0;
        foreach (var weight in weights) total += weight;
        var floor = settings.TopP < 1 ? (1 - settings.TopP) * total / weights.Length : settings.MinP * 0.999;

        var kept = 0;
        for (var token = 0; token < weights.Length; token++)
            if (weights[token] > 0 && weights[token] >= floor) _candidates[kept++] = new Candidate(weights[token], token);
        _candidates.AsSpan(0, kept).Sort(static (a, b) => a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Token.CompareTo(b.Token));
        return (kept, total);
    }

    private int Nucleus(int kept, double mass)
    {
        var sum = 0.0;
        for (var i = 0; i < kept; i++)
            if ((sum += _candidates[i].Weight) >= mass) return i + 1;
        return kept;
    }

    private int Likely(int kept, double minP)
    {
        while (kept > 1 && _candidates[kept - 1].Weight < minP * _candidates[0].Weight) kept--;
        return kept;
    }

    private int Pick(int kept, double uniform)
    {
        var rest = uniform * Weight(kept);
        for (var i = 0; i < kept; i++)
            if ((rest -= _candidates[i].Weight) < 0) return _candidates[i].Token;
        return _candidates[kept - 1].Token;
    }

    private double Weight(int kept)
    {
        var sum = 0.0;
        for (var i = 0; i < kept; i++) sum += _candidates[i].Weight;
        return sum;
    }
}
