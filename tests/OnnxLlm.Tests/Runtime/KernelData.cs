using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Inputs of the kernel cases.</summary>
internal static class KernelData
{
    public const int Rows = 411, Width = 83, Columns = 1_031;

    public static float[] X { get; } = KernelHarness.Normal(Rows * Width, 1, 2);

    public static float[] Y { get; } = KernelHarness.Normal(Rows * Width, 2);

    public static float[] Z { get; } = KernelHarness.Normal(Rows * Width, 3);

    public static float[] Weight { get; } = KernelHarness.Normal(Width, 4);

    public static float[] Bias { get; } = KernelHarness.Normal(Width, 5);

    public static float[] Mean { get; } = [.. NormReference.LayerNorm(X, Weight, Bias, 1e-5)[1].Select(value => (float)value)];

    public static float[] Rstd { get; } = [.. NormReference.LayerNorm(X, Weight, Bias, 1e-5)[2].Select(value => (float)value)];

    public static float[] Logits { get; } = KernelHarness.Normal(Rows * Columns, 6, 4);

    public static long[] Targets { get; } = [.. Enumerable.Range(0, Rows).Select(row => row % 7 == 3 ? -100L : row * 37 % Columns)];

    /// <summary>Rows to add to: 83 different ones, so each about five times.</summary>
    public static long[] Ids { get; } = [.. Enumerable.Range(0, Rows).Select(row => row * 5L % 83)];

    public static float[] Turned { get; } = KernelHarness.Normal(5 * 97 * 3 * 38, 7);

    public static float[] Cos { get; } = [.. KernelHarness.Normal(97 * 19, 8).Select(MathF.Cos)];

    public static float[] Sin { get; } = [.. KernelHarness.Normal(97 * 19, 8).Select(MathF.Sin)];

    public static TensorBuffer Of(float[] values) => TensorBuffer.Of(values, Rows, Width);

    public static double Square(float value) => (double)value * value;
}
