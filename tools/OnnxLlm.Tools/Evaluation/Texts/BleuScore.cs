using System.Collections.Immutable;

namespace OnnxLlm.Tools.Evaluation.Texts;

/// <summary>
/// BLEU of a corpus (Papineni et al., 2002), from 0 to 100, as sacrebleu computes it: n-grams up to four, clipped at the most that one reference has,
/// the reference nearest in length for the brevity penalty, and NIST's exponential smoothing where no n-gram of an order matches.
/// </summary>
/// <param name="Precisions">In percent, for n-grams of one to four words.</param>
internal sealed record BleuScore(double Value, ImmutableArray<double> Precisions, double BrevityPenalty, long HypothesisLength, long ReferenceLength)
{
    private const int Orders = 4;

    /// <param name="hypotheses">One line each.</param>
    /// <param name="references">Sets of references, each with a line per hypothesis.</param>
    public static BleuScore Of(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, ScoreTokenization tokenization)
    {
        long[] matched = new long[Orders], total = new long[Orders];
        var (length, referenceLength) = (0L, 0L);
        for (int line = 0; line < hypotheses.Count; line++)
        {
            string[] words = ScoreTokens.ForBleu(hypotheses[line], tokenization);
            string[][] others = [.. references.Select(set => ScoreTokens.ForBleu(set[line], tokenization))];
            length += words.Length;
            referenceLength += others.Select(o => o.Length).OrderBy(l => Math.Abs(l - words.Length)).ThenBy(l => l).First();
            for (int n = 1; n <= Orders; n++)
            {
                matched[n - 1] += NGrams.Shared(NGrams.Count(words, n), Most([.. others.Select(o => NGrams.Count(o, n))]));
                total[n - 1] += Math.Max(0, words.Length - n + 1);
            }
        }
        return Combine(matched, total, length, referenceLength);
    }

    /// <summary>Each n-gram as often as the reference that has it most.</summary>
    private static Dictionary<string, int> Most(Dictionary<string, int>[] references) =>
        references.SelectMany(r => r).GroupBy(g => g.Key, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Max(p => p.Value), StringComparer.Ordinal);

    private static BleuScore Combine(long[] matched, long[] total, long length, long referenceLength)
    {
        double penalty = length >= referenceLength ? 1 : length > 0 ? Math.Exp(1 - (double)referenceLength / length) : 0;
        double[] precisions = new double[Orders];
        double smoothing = 1;
        for (int n = 0; n < Orders && total[n] > 0 && matched.Any(m => m > 0); n++)
            precisions[n] = 100.0 / total[n] * (matched[n] > 0 ? matched[n] : 1 / (smoothing *= 2));
        double value = precisions.All(p => p > 0) ? penalty * Math.Exp(precisions.Average(Math.Log)) : 0;
        return new(value, [.. precisions], penalty, length, referenceLength);
    }
}
