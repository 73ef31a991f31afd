namespace OnnxLlm.Tests.Runtime;

/// <summary>Cross-entropies as their definitions read, in double precision.</summary>
internal static class LossReference
{
    /// <returns>loss, dlogits</returns>
    public static double[][] SoftmaxCrossEntropy(float[] logits, long[] labels, double scale)
    {
        int columns = logits.Length / labels.Length;
        double[] gradient = new double[logits.Length];
        for (int row = 0; row < labels.Length; row++)
        {
            if (labels[row] == -100) continue;
            double logSum = LogSum(logits, row, columns);
            for (int i = 0; i < columns; i++)
                gradient[row * columns + i] = scale * (Math.Exp(logits[row * columns + i] - logSum) - (i == labels[row] ? 1 : 0));
        }
        return [[scale * TokenLoss(logits, labels).Sum()], gradient];
    }

    public static double[] TokenLoss(float[] logits, long[] labels)
    {
        int columns = logits.Length / labels.Length;
        return [.. labels.Select((label, row) => label == -100 ? 0 : LogSum(logits, row, columns) - logits[row * columns + label])];
    }

    private static double LogSum(float[] logits, int row, int columns)
    {
        double sum = 0;
        for (int i = 0; i < columns; i++) sum += Math.Exp(logits[row * columns + i]);
        return Math.Log(sum);
    }
}
