namespace OnnxLlm.Tools.Evaluation;

/// <summary>
/// The model that knows only how often each token occurs: p(t) = (count + 1) / (tokens + vocabulary), counted on the training tokens. What a language
/// model must beat by far.
/// </summary>
internal sealed class UnigramBaseline(int vocabulary)
{
    private readonly long[] _counts = new long[vocabulary];
    private long _total;

    public void Count(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens) _counts[token]++;
        _total += tokens.Length;
    }

    /// <summary>−ln p(token), in nats.</summary>
    public double Loss(int token) => Math.Log(_total + _counts.Length) - Math.Log(_counts[token] + 1);
}
