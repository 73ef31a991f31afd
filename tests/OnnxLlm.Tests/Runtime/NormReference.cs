namespace OnnxLlm.Tests.Runtime;

/// <summary>Normalisations as their definitions read, in double precision.</summary>
internal static class NormReference
{
    /// <returns>y, rstd</returns>
    public static double[][] RmsNorm(float[] x, float[] weight, double epsilon)
    {
        int width = weight.Length;
        double[] y = new double[x.Length], rstd = new double[x.Length / width];
        for (int row = 0; row < rstd.Length; row++)
        {
            rstd[row] = 1 / Math.Sqrt(Row(x, row, width).Average(value => value * value) + epsilon);
            for (int i = 0; i < width; i++) y[row * width + i] = x[row * width + i] * rstd[row] * weight[i];
        }
        return [y, rstd];
    }

    /// <returns>dx, dweight</returns>
    public static double[][] RmsNormGrad(float[] dy, float[] x, float[] weight, float[] rstd) =>
        LayerNormGrad(dy, x, weight, new float[rstd.Length], rstd, centred: false)[..2];

    /// <returns>y, mean, rstd</returns>
    public static double[][] LayerNorm(float[] x, float[] weight, float[] bias, double epsilon)
    {
        int width = weight.Length;
        double[] y = new double[x.Length], mean = new double[x.Length / width], rstd = new double[x.Length / width];
        for (int row = 0; row < rstd.Length; row++)
        {
            double centre = mean[row] = Row(x, row, width).Average();
            rstd[row] = 1 / Math.Sqrt(Row(x, row, width).Average(value => (value - centre) * (value - centre)) + epsilon);
            for (int i = 0; i < width; i++) y[row * width + i] = (x[row * width + i] - centre) * rstd[row] * weight[i] + bias[i];
        }
        return [y, mean, rstd];
    }

    /// <returns>dx, dweight, dbias</returns>
    public static double[][] LayerNormGrad(float[] dy, float[] x, float[] weight, float[] mean, float[] rstd, bool centred = true)
    {
        int width = weight.Length;
        double[] dx = new double[x.Length], dweight = new double[width], dbias = new double[width];
        for (int row = 0; row < rstd.Length; row++)
        {
            double[] unit = [.. Row(x, row, width).Select(value => (value - mean[row]) * rstd[row])];
            double[] dunit = [.. Row(dy, row, width).Zip(weight, (g, w) => g * w)];
            double along = centred ? dunit.Average() : 0, across = dunit.Zip(unit, (g, u) => g * u).Average();
            for (int i = 0; i < width; i++)
            {
                dx[row * width + i] = (dunit[i] - along - unit[i] * across) * rstd[row];
                dweight[i] += dy[row * width + i] * unit[i];
                dbias[i] += dy[row * width + i];
            }
        }
        return [dx, dweight, dbias];
    }

    /// <returns>y of statistics that are known</returns>
    public static double[] Applied(float[] x, float[] weight, float[] bias, float[] mean, float[] rstd) =>
        [.. x.Select((value, i) => ((double)value - mean[i / weight.Length]) * rstd[i / weight.Length] * weight[i % weight.Length] + bias[i % weight.Length])];

    private static IEnumerable<double> Row(float[] values, int row, int width) => values.Skip(row * width).Take(width).Select(value => (double)value);
}
