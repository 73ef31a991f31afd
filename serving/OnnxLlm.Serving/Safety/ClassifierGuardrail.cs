namespace OnnxLlm.Serving.Safety;

/// <summary>A classifier as a guardrail: it is given every sentence of prompts and answers, and a text is blocked where a sentence has a score that is too high.</summary>
/// <param name="category">What the classifier looks for.</param>
/// <param name="version">Of the classifier: answers kept from an earlier one are not given again.</param>
/// <param name="score">From 0 to 1. Several requests may call it at a time.</param>
/// <param name="threshold">The lowest score that blocks.</param>
/// <param name="window">Characters of the longest sentence of which nothing is shown before it is complete.</param>
public sealed class ClassifierGuardrail(string category, string version, Func<string, double> score, double threshold = 0.5, int window = 256) : IGuardrail
{
    public IReadOnlyList<string> Categories => [category];

    public string Version => FormattableString.Invariant($"{category} {version} {threshold}");

    public int Window => window;

    public IEnumerable<Finding> Inspect(string text, TextSide side) =>
        Sentences(text).Where(sentence => score(text[sentence.Start..sentence.End]) >= threshold).Select(sentence => new Finding(sentence.Start, sentence.End, category, null));

    private static IEnumerable<(int Start, int End)> Sentences(string text)
    {
        for (var start = 0; start < text.Length;)
        {
            var mark = text.AsSpan(start).IndexOfAny(".!?\n");
            var end = mark < 0 ? text.Length : start + mark + 1;
            yield return (start, end);
            start = end;
        }
    }
}
