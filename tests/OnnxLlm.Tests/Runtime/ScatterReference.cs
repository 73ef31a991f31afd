namespace OnnxLlm.Tests.Runtime;

/// <summary>Adding rows to the rows of a matrix, as its definition reads.</summary>
internal static class ScatterReference
{
    public static double[] AddRows(float[] into, long[] ids, float[] rows)
    {
        int width = rows.Length / ids.Length;
        double[] sum = [.. into.Select(value => (double)value)];
        for (int i = 0; i < rows.Length; i++) sum[ids[i / width] * width + i % width] += rows[i];
        return sum;
    }
}
