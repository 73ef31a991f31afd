namespace OnnxLlm.Tools.Evaluation;

/// <summary>Tokens to be predicted, and how many bytes of text each token id stands for.</summary>
internal sealed record EvaluationText(int[] Tokens, Func<int, int> BytesOf)
{
    public IEnumerable<EvaluationWindow> Windows(int context, int stride) => EvaluationWindow.Cut(Tokens.Length, context, stride);

    /// <summary>Bytes of all tokens that are scored: all but the first.</summary>
    public long ScoredBytes => Tokens.Skip(1).Sum(id => (long)BytesOf(id));
}
