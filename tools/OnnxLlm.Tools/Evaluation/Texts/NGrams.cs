namespace OnnxLlm.Tools.Evaluation.Texts;

/// <summary>How often each run of n words occurs in a line.</summary>
internal static class NGrams
{
    /// <summary>No tokenization leaves it in a word.</summary>
    private const char Joint = '\u0001';

    public static Dictionary<string, int> Count(string[] words, int n)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i + n <= words.Length; i++)
        {
            string gram = string.Join(Joint, words, i, n);
            counts[gram] = counts.GetValueOrDefault(gram) + 1;
        }
        return counts;
    }

    /// <summary>The occurrences that both have.</summary>
    public static int Shared(Dictionary<string, int> a, Dictionary<string, int> b) => a.Sum(gram => Math.Min(gram.Value, b.GetValueOrDefault(gram.Key)));
}
