namespace OnnxLlm.Tests.Runtime;

/// <summary>Causal attention as its definition reads, in double precision. Tensors of heads are [B, T, heads*K].</summary>
internal sealed record AttentionReference(int Batch, int Time, int Heads, int KeyHeads, int Size)
{
    public int QueryCount => Batch * Time * Heads * Size;

    public int KeyCount => Batch * Time * KeyHeads * Size;

    /// <returns>o, lse</returns>
    public double[][] Forward(float[] q, float[] k, float[] v)
    {
        double[] o = new double[QueryCount], lse = new double[Batch * Heads * Time];
        foreach (var (query, first, head) in Queries())
        {
            double[] weights = Weights(q, k, query, first, out lse[LseIndex(query, head)]);
            for (int s = 0; s < weights.Length; s++)
                for (int c = 0; c < Size; c++) o[query + c] += weights[s] * v[first + s * KeyHeads * Size + c];
        }
        return [o, lse];
    }

    /// <returns>dq, dk, dv</returns>
    public double[][] Backward(float[] output, float[] q, float[] k, float[] v)
    {
        double[] dq = new double[QueryCount], dk = new double[KeyCount], dv = new double[KeyCount];
        foreach (var (query, first, _) in Queries())
        {
            double[] weights = Weights(q, k, query, first, out _);
            double[] gradients = [.. weights.Select((_, s) => Dot(output, query, v, first + s * KeyHeads * Size))];
            double mean = weights.Zip(gradients, (w, g) => w * g).Sum();
            for (int s = 0; s < weights.Length; s++)
                for (int c = 0; c < Size; c++)
                {
                    int key = first + s * KeyHeads * Size + c;
                    double gradient = weights[s] * (gradients[s] - mean) / Math.Sqrt(Size);
                    dq[query + c] += gradient * k[key];
                    dk[key] += gradient * q[query + c];
                    dv[key] += weights[s] * output[query + c];
                }
        }
        return [dq, dk, dv];
    }

    /// <summary>First element of every query, of the first key of its head, and the query's head.</summary>
    private IEnumerable<(int Query, int FirstKey, int Head)> Queries() =>
        from batch in Enumerable.Range(0, Batch)
        from time in Enumerable.Range(0, Time)
        from head in Enumerable.Range(0, Heads)
        select (((batch * Time + time) * Heads + head) * Size, (batch * Time * KeyHeads + head * KeyHeads / Heads) * Size, head);

    private int LseIndex(int query, int head)
    {
        int row = query / (Heads * Size);
        return (row / Time * Heads + head) * Time + row % Time;
    }

    private double[] Weights(float[] q, float[] k, int query, int first, out double lse)
    {
        int visible = query / (Heads * Size) % Time + 1;
        double[] scores = [.. Enumerable.Range(0, visible).Select(s => Dot(q, query, k, first + s * KeyHeads * Size) / Math.Sqrt(Size))];
        double largest = scores.Max(), sum = largest + Math.Log(scores.Sum(score => Math.Exp(score - largest)));
        lse = sum;
        return [.. scores.Select(score => Math.Exp(score - sum))];
    }

    private double Dot(float[] x, int startX, float[] y, int startY)
    {
        double sum = 0;
        for (int c = 0; c < Size; c++) sum += (double)x[startX + c] * y[startY + c];
        return sum;
    }
}
