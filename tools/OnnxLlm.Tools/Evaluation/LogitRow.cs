namespace OnnxLlm.Tools.Evaluation;

/// <summary>What one row of logits says of the next token, computed in double precision.</summary>
internal readonly ref struct LogitRow
{
    private readonly ReadOnlySpan<float> _logits;
    private readonly double _logTotal;

    public LogitRow(ReadOnlySpan<float> logits)
    {
        _logits = logits;
        for (int i = 1; i < logits.Length; i++)
            if (logits[i] > logits[Best]) Best = i;
        double largest = logits[Best], total = 0;
        foreach (float logit in logits) total += Math.Exp(logit - largest);
        _logTotal = largest + Math.Log(total);
    }

    /// <summary>The likeliest token, the first of equals.</summary>
    public int Best { get; }

    /// <summary>−ln p(token), in nats.</summary>
    public double Loss(int token) => _logTotal - _logits[token];

    /// <summary>KL(this‖other), in nats: what it costs to go by the other row where this one is true.</summary>
    public double Divergence(LogitRow other)
    {
        double sum = 0;
        for (int i = 0; i < _logits.Length; i++)
        {
            double log = _logits[i] - _logTotal;
            sum += Math.Exp(log) * (log - (other._logits[i] - other._logTotal));
        }
        return Math.Max(0, sum);
    }
}
