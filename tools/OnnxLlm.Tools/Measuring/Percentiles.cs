namespace OnnxLlm.Tools.Measuring;

/// <summary>Mean and percentiles of a sample; between two values of it a percentile is interpolated linearly.</summary>
internal sealed record Percentiles(double Mean, double P50, double P95, double P99)
{
    /// <summary>Null for an empty sample.</summary>
    public static Percentiles? Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? null : new(sorted.Average(), At(sorted, 0.5), At(sorted, 0.95), At(sorted, 0.99));
    }

    private static double At(double[] sorted, double share)
    {
        double place = share * (sorted.Length - 1);
        int below = (int)place, above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }
}
