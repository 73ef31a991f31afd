namespace OnnxLlm.Tests.Runtime;

/// <summary>An output layer with its loss, as plain loops in double precision: two of the kernel's chunks of rows, many of its parts of tokens.</summary>
internal static class LinearLoss
{
    public const int Rows = 259, Width = 5, Tokens = 16_421;

    public static readonly float[] X = KernelHarness.Normal(Rows * Width, 61), Weight = KernelHarness.Normal(Tokens * Width, 62), Buffer = KernelHarness.Normal(Tokens * Width, 63);

    public static readonly long[] Targets = [.. Enumerable.Range(0, Rows).Select(i => i % 5 == 1 ? -100L : 31 * i % Tokens)];

    private static readonly Lazy<float[]> Logits = new(() =>
    [
        .. from row in Enumerable.Range(0, Rows)
           from token in Enumerable.Range(0, Tokens)
           select (float)Enumerable.Range(0, Width).Sum(i => (double)X[row * Width + i] * Weight[token * Width + i]),
    ]);

    public static double[] TokenLoss() => LossReference.TokenLoss(Logits.Value, Targets);

    /// <returns>loss, dx, buffer + dweight</returns>
    public static double[][] CrossEntropy(double scale)
    {
        double[][] loss = LossReference.SoftmaxCrossEntropy(Logits.Value, Targets, scale);
        double[] dx = new double[X.Length], sum = [.. Buffer];
        for (int row = 0; row < Rows; row++)
            for (int token = 0; token < Tokens; token++)
                for (int i = 0; i < Width; i++)
                {
                    dx[row * Width + i] += loss[1][row * Tokens + token] * Weight[token * Width + i];
                    sum[token * Width + i] += loss[1][row * Tokens + token] * X[row * Width + i];
                }
        return [loss[0], dx, sum];
    }
}
