namespace OnnxLlm.Tools.Evaluation;

/// <summary>What one row of logits says, computed in double precision.</summary>
internal static class LogProbabilities
{
    /// <summary>−ln p(token), in nats.</summary>
    public static double NegativeLog(ReadOnlySpan<float> logits, int token) => LogSumExp(logits) - logits[token];

    /// <summary>KL(p‖q) of two rows, in nats: what it costs to use q where p is true.</summary>
    public static double Divergence(ReadOnlySpan<float> p, ReadOnlySpan<float> q)
    {
        double totalP = LogSumExp(p), totalQ = LogSumExp(q), sum = 0;
        for (int i = 0; i < p.Length; i++)
        {
            double log = p[i] - totalP;
            sum += Math.Exp(log) * (log - (q[i] - totalQ));
        }
        return Math.Max(0, sum);
    }

    /// <summary>Index of the largest logit, the lowest of equals.</summary>
    public static int Best(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        return best;
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        float largest = logits[Best(logits)];
        double sum = 0;
        foreach (float logit in logits) sum += Math.Exp(logit - largest);
        return largest + Math.Log(sum);
    }
}
