namespace OnnxLlm.Tools.Evaluation.Texts;

/// <summary>
/// ROUGE (Lin, 2004), from 0 to 1, as Google's rouge_score computes it without a stemmer: what share of the reference's n-grams, or of its longest common
/// subsequence of words, the hypothesis has (recall), and the other way round (precision). Means over the lines; of several references the best counts.
/// </summary>
internal sealed record RougeScore(double Precision, double Recall, double F)
{
    public static RougeScore N(int n, IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, bool chinese) =>
        Mean(hypotheses, references, chinese, (hypothesis, reference) =>
        {
            int shared = NGrams.Shared(NGrams.Count(hypothesis, n), NGrams.Count(reference, n));
            return Of(shared, Math.Max(0, hypothesis.Length - n + 1), Math.Max(0, reference.Length - n + 1));
        });

    public static RougeScore L(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, bool chinese) =>
        Mean(hypotheses, references, chinese, (hypothesis, reference) => Of(LongestCommon(hypothesis, reference), hypothesis.Length, reference.Length));

    private static RougeScore Mean(
        IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, bool chinese, Func<string[], string[], RougeScore> score)
    {
        var lines = hypotheses.Select((h, i) => references
            .Select(set => score(ScoreTokens.ForRouge(h, chinese), ScoreTokens.ForRouge(set[i], chinese))).MaxBy(s => s.F)!).ToList();
        return new(lines.Average(s => s.Precision), lines.Average(s => s.Recall), lines.Average(s => s.F));
    }

    private static RougeScore Of(int shared, int hypothesis, int reference)
    {
        var (precision, recall) = (shared / (double)Math.Max(1, hypothesis), shared / (double)Math.Max(1, reference));
        return new(precision, recall, shared == 0 ? 0 : 2 * precision * recall / (precision + recall));
    }

    private static int LongestCommon(string[] a, string[] b)
    {
        int[] before = new int[b.Length + 1];
        foreach (string word in a)
        {
            int[] row = new int[b.Length + 1];
            for (int j = 1; j <= b.Length; j++) row[j] = word == b[j - 1] ? before[j - 1] + 1 : Math.Max(before[j], row[j - 1]);
            before = row;
        }
        return before[^1];
    }
}
