namespace OnnxLlm.Tests.Runtime;

/// <summary>Activations and rotary embedding as their definitions read, in double precision.</summary>
internal static class ActivationReference
{
    private static readonly double Slope = Math.Sqrt(2 / Math.PI);

    public static double Logistic(double x) => 1 / (1 + Math.Exp(-x));

    public static double Gelu(double x) => 0.5 * x * (1 + Math.Tanh(Slope * (x + 0.044715 * x * x * x)));

    public static double GeluSlope(double x)
    {
        double bend = Math.Tanh(Slope * (x + 0.044715 * x * x * x));
        return 0.5 * (1 + bend) + 0.5 * x * (1 - bend * bend) * Slope * (1 + 3 * 0.044715 * x * x);
    }

    /// <returns>dgate, dup</returns>
    public static double[][] SwiGluGrad(float[] dy, float[] gate, float[] up)
    {
        double[] dgate = new double[dy.Length], dup = new double[dy.Length];
        for (int i = 0; i < dy.Length; i++)
        {
            double s = Logistic(gate[i]);
            dgate[i] = dy[i] * up[i] * (s + gate[i] * s * (1 - s));
            dup[i] = dy[i] * gate[i] * s;
        }
        return [dgate, dup];
    }

    public static double[] Rotate(float[] x, float[] cos, float[] sin, int time, int heads, int half)
    {
        double[] y = new double[x.Length];
        for (int row = 0; row < x.Length / (2 * half); row++)
        {
            int position = row / heads % time * half, start = row * 2 * half;
            for (int i = 0; i < half; i++)
            {
                double a = x[start + i], b = x[start + half + i], c = cos[position + i], s = sin[position + i];
                (y[start + i], y[start + half + i]) = (a * c - b * s, b * c + a * s);
            }
        }
        return y;
    }
}
