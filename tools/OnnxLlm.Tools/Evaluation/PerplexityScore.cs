namespace OnnxLlm.Tools.Evaluation;

/// <summary>How well a model predicts a text. Token-weighted: every scored token counts the same, whichever window it was in.</summary>
/// <param name="Tokens">Scored tokens.</param>
/// <param name="Bytes">Bytes of text that these tokens stand for; special tokens have none.</param>
/// <param name="NegativeLogLikelihood">Mean of −ln p per token, in nats.</param>
/// <param name="StandardError">Of that mean, taking tokens as independent.</param>
internal sealed record PerplexityScore(long Tokens, long Bytes, double NegativeLogLikelihood, double StandardError)
{
    public double Perplexity => Math.Exp(NegativeLogLikelihood);

    /// <summary>Standard error of <see cref="Perplexity"/>, to first order.</summary>
    public double PerplexityError => Perplexity * StandardError;

    /// <summary>Independent of the tokenizer, so models with different vocabularies can be compared.</summary>
    public double BitsPerByte => Bytes == 0 ? double.NaN : NegativeLogLikelihood * Tokens / Math.Log(2) / Bytes;
}

/// <summary>Two models on the same windows, token by token.</summary>
/// <param name="First">The model compared with.</param>
/// <param name="Second">The model in question.</param>
/// <param name="Difference">Mean of the second model's −ln p less the first's, in nats: ln of the ratio of perplexities.</param>
/// <param name="DifferenceError">Its standard error; far below that of either model, since the tokens are the same.</param>
/// <param name="Divergence">Mean KL(first‖second), in nats.</param>
/// <param name="Agreement">Share of tokens for which both models find the same token likeliest.</param>
internal sealed record ScoreComparison(
    PerplexityScore First, PerplexityScore Second, double Difference, double DifferenceError, double Divergence, double Agreement)
{
    /// <summary>Relative growth of the perplexity: 0.01 is 1 % worse.</summary>
    public double PerplexityLoss => Math.Exp(Difference) - 1;
}
