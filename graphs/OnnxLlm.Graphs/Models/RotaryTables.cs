namespace OnnxLlm.Graphs.Models;

/// <summary>Cosines and sines of the rotary position embedding: at position t, pair i of a head turns by t·theta^(−2i/K).</summary>
internal static class RotaryTables
{
    /// <summary>Two float tables [<paramref name="positions"/>, K/2], computed in double precision and rounded once.</summary>
    public static (TensorData Cos, TensorData Sin) Of(ModelConfig config, int positions)
    {
        int half = config.HeadSize / 2;
        float[] cos = new float[positions * half], sin = new float[positions * half];
        for (int i = 0; i < cos.Length; i++)
        {
            double angle = i / half * Math.Pow(config.RopeTheta, -2.0 * (i % half) / config.HeadSize);
            (cos[i], sin[i]) = ((float)Math.Cos(angle), (float)Math.Sin(angle));
        }
        return (TensorData.Of<float>(ElementType.Float, [positions, half], cos), TensorData.Of<float>(ElementType.Float, [positions, half], sin));
    }
}
