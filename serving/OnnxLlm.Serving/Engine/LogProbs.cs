namespace OnnxLlm.Serving.Engine;

/// <summary>Log probabilities of the model's own distribution, for clients that ask for them.</summary>
internal static class LogProbs
{
    /// <summary>Stands for an impossible token: JSON has no −∞, and this is the API's sentinel.</summary>
    public const float Impossible = -9999;

    /// <param name="logits">[V]</param>
    /// <param name="alternatives">How many of the best tokens to list.</param>
    public static TokenScore Score(ReadOnlySpan<float> logits, int token, int alternatives)
    {
        var normalizer = LogSumExp(logits);
        var best = BestTokens.Select(logits, alternatives);
        var top = new TokenLogProb[best.Length];
        for (var i = 0; i < best.Length; i++) top[i] = new TokenLogProb(best[i], Value(logits[best[i]], normalizer));
        return new TokenScore(Value(logits[token], normalizer), [.. top]);
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        var max = double.NegativeInfinity;
        foreach (var logit in logits) max = Math.Max(max, logit);
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp(logit - max);
        return max + Math.Log(sum);
    }

    private static float Value(float logit, double normalizer) =>
        float.Max((float)(logit - normalizer), Impossible);
}
