namespace OnnxLlm.Training.Metrics;

/// <summary>Keeps what JSON has no number for out of the records.</summary>
internal static class Finite
{
    /// <summary>The value, or null where it is infinite or not a number.</summary>
    public static double? OrNull(double value) => double.IsFinite(value) ? value : null;
}
