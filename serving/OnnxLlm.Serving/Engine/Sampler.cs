using System.Numerics.Tensors;

namespace OnnxLlm.Serving.Engine;

/// <summary>
/// Chooses the next token of a sequence from one row of logits: bias, penalties, temperature, top-k, top-p, min-p, draw, in this order.
/// The same row, settings, choice and position always give the same token. It owns scratch memory only, so one thread may use it.
/// </summary>
internal sealed class Sampler(int vocabularySize)
{
    private readonly float[] _scores = new float[vocabularySize];
    private readonly float[] _probabilities = new float[vocabularySize];
    private readonly CandidateSet _candidates = new(vocabularySize);

    /// <summary>The highest score of the model is what is chosen: nothing but the token is needed.</summary>
    public static bool TakesBest(Sequence sequence) => sequence.Sampling.IsGreedy && !NeedsAdjusting(sequence);

    /// <param name="logits">[V]</param>
    /// <param name="ahead">Tokens that were chosen in this step already and are not the sequence's yet.</param>
    public int Choose(ReadOnlySpan<float> logits, Sequence sequence, int ahead = 0)
    {
        var settings = sequence.Sampling;
        var scores = NeedsAdjusting(sequence) ? Adjust(logits, sequence) : logits;
        var best = Best(scores);
        if (settings.IsGreedy) return best;

        var weights = Weights(scores, scores[best], settings.Temperature);
        var uniform = CounterRandom.Uniform(settings.Seed, sequence.Choice, sequence.Generated + ahead);
        return settings.IsRestricted
            ? _candidates.Draw(weights, settings, uniform)
            : Draw(weights, uniform);
    }

    /// <summary>The highest score, ties to the lowest token.</summary>
    private static int Best(ReadOnlySpan<float> scores)
    {
        var best = TensorPrimitives.IndexOfMax(scores);
        if (float.IsFinite(scores[best])) return best;
        throw new ServingException($"The model returned the score {scores[best]} for token {best}; scores must be finite.");
    }

    private static bool NeedsAdjusting(Sequence sequence) =>
        sequence.Sampling.HasPenalty || sequence.Sampling.LogitBias.Length > 0 || sequence.Generated < sequence.MinTokens || sequence.Constrained is not null;

    private ReadOnlySpan<float> Adjust(ReadOnlySpan<float> logits, Sequence sequence)
    {
        logits.CopyTo(_scores);
        foreach (var (token, bias) in sequence.Sampling.LogitBias) _scores[token] += bias;
        if (sequence.Sampling.HasPenalty) Penalize(sequence);
        if (sequence.Generated < sequence.MinTokens)
            foreach (var token in sequence.EndTokens) _scores[token] = float.NegativeInfinity;
        sequence.Constrained?.Apply(_scores, sequence.MaxTokens - sequence.Generated, sequence.EndTokens.AsSpan());
        return _scores;
    }

    private void Penalize(Sequence sequence)
    {
        var settings = sequence.Sampling;
        var repetition = (float)settings.RepetitionPenalty;
        if (repetition != 1)
            foreach (var token in sequence.Seen)
                _scores[token] = _scores[token] > 0 ? _scores[token] / repetition : _scores[token] * repetition;
        foreach (var (token, count) in sequence.Counts)
            _scores[token] -= (float)(settings.PresencePenalty + settings.FrequencyPenalty * count);
    }

    /// <summary>Probabilities up to a common factor; the best token has weight 1.</summary>
    private ReadOnlySpan<float> Weights(ReadOnlySpan<float> scores, float best, double temperature)
    {
        TensorPrimitives.Subtract(scores, best, _probabilities);
        TensorPrimitives.Multiply(_probabilities, (float)(1 / temperature), _probabilities);
        TensorPrimitives.Exp<float>(_probabilities, _probabilities);
        return _probabilities;
    }

    /// <summary>Walks the distribution in order of tokens. Sums are sequential and in double: a vectorized sum depends on alignment.</summary>
    private static int Draw(ReadOnlySpan<float> weights, double uniform)
    {
        var total = 0.0;
        foreach (var weight in weights) total += weight;

        var rest = uniform * total;
        var last = 0;
        for (var token = 0; token < weights.Length; token++)
        {
            if (weights[token] == 0) continue;
            last = token;
            if ((rest -= weights[token]) < 0) break;
        }

        return last;
    }
}
