namespace OnnxLlm.Tests.Support;

/// <summary>How far results may lie from a reference.</summary>
internal static class Closeness
{
    /// <summary>Largest difference of an element, in units of the reference's largest magnitude, but at least of 1e-3.</summary>
    public static double Error(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = 0, magnitude = 1e-3;
        for (int i = 0; i < actual.Length; i++)
        {
            Assert.True(float.IsFinite(actual[i]), $"Element {i} is {actual[i]}.");
            difference = Math.Max(difference, Math.Abs((double)actual[i] - expected[i]));
            magnitude = Math.Max(magnitude, Math.Abs((double)expected[i]));
        }
        return difference / magnitude;
    }

    public static void AssertClose(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected, double bound, string what)
    {
        double error = Error(actual, expected);
        Assert.True(error <= bound, FormattableString.Invariant($"{what}: error {error:e2} of the largest element, allowed {bound:e0}."));
    }
}
