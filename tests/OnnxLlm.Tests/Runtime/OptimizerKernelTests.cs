using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class OptimizerKernelTests
{
    private const int Count = 40_003; // three parts and a tail

    public static TheoryData<string> Widths => KernelHarness.Widths;

    [Theory]
    [MemberData(nameof(Widths))]
    public void Accumulate_ResetOrNot_IsExact(string width)
    {
        float[] buffer = KernelHarness.Normal(Count, 1), gradient = KernelHarness.Normal(Count, 2);
        foreach (bool reset in (bool[])[false, true])
        {
            float[] result = KernelHarness.Run(
                KernelHarness.Node("Accumulate"), width, 2, TensorBuffer.Of(buffer, Count), TensorBuffer.Of(gradient, Count), TensorBuffer.Of([reset], 1))[0];
            Assert.Equal(reset ? gradient : [.. buffer.Zip(gradient, (b, g) => b + g)], result);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void AdamW_ThreeSteps_EqualsPlainLoop(string width)
    {
        float[] parameter = KernelHarness.Normal(Count, 1), m = new float[Count], v = new float[Count];
        double[] expected = [.. parameter.Select(value => (double)value)], expectedM = new double[Count], expectedV = new double[Count];
        for (int step = 1; step <= 3; step++)
        {
            float[] gradient = KernelHarness.Normal(Count, 10 + step);
            float bias1 = (float)(1 - Math.Pow(0.9f, step)), bias2 = (float)(1 - Math.Pow(0.95f, step));
            float[][] result = Step(width, parameter, gradient, m, v, 0.01f, 0.5f, bias1, bias2);
            for (int i = 0; i < Count; i++)
            {
                double g = gradient[i] * 0.5;
                expectedM[i] = 0.9f * expectedM[i] + (1 - 0.9f) * g;
                expectedV[i] = 0.95f * expectedV[i] + (1 - 0.95f) * g * g;
                expected[i] -= 0.01f * 0.1f * expected[i];
                expected[i] -= 0.01f * (expectedM[i] / bias1) / (Math.Sqrt(expectedV[i] / bias2) + 1e-8f);
            }
            (parameter, m, v) = (result[0], result[1], result[2]);
        }
        // Per step about four roundings of 2^-24 relative to the largest value.
        Assert.InRange(KernelHarness.Error(expected, parameter), 0, 1e-6);
        Assert.InRange(KernelHarness.Error(expectedM, m), 0, 1e-6);
        Assert.InRange(KernelHarness.Error(expectedV, v), 0, 1e-6);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void AdamW_ScaleNotFinite_ChangesNothing(float scale)
    {
        float[] parameter = KernelHarness.Normal(Count, 1), m = KernelHarness.Normal(Count, 2), v = KernelHarness.Normal(Count, 3);
        float[][] result = Step("Portable", parameter, KernelHarness.Normal(Count, 4), m, v, 0.01f, scale, 0.1f, 0.1f);
        Assert.Equal(parameter, result[0]);
        Assert.Equal(m, result[1]);
        Assert.Equal(v, result[2]);
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(float.NaN)]
    public void AdamW_InPlace_EqualsOutOfPlace(float scale)
    {
        float[] parameter = KernelHarness.Normal(Count, 1), gradient = KernelHarness.Normal(Count, 2), m = KernelHarness.Normal(Count, 3);
        float[] v = [.. KernelHarness.Normal(Count, 4).Select(MathF.Abs)];
        float[][] expected = Step(null, parameter, gradient, m, v, 0.01f, scale, 0.1f, 0.2f);

        using var session = new OrtSession(Node().Model(), new SessionSettings { Threads = 2 });
        using TensorBuffer p = TensorBuffer.Of(parameter, Count), g = TensorBuffer.Of(gradient, Count);
        using TensorBuffer first = TensorBuffer.Of(m, Count), second = TensorBuffer.Of(v, Count);
        using TensorBuffer rate = TensorBuffer.Of([0.01f]), factor = TensorBuffer.Of([scale]), bias1 = TensorBuffer.Of([0.1f]), bias2 = TensorBuffer.Of([0.2f]);
        using BoundSession bound = session.Bind()
            .Input("in0", p).Input("in1", g).Input("in2", first).Input("in3", second)
            .Input("in4", rate).Input("in5", factor).Input("in6", bias1).Input("in7", bias2)
            .Output("out0", p).Output("out1", first).Output("out2", second);
        bound.Run();
        Assert.Equal(expected[0], p.Span<float>());
        Assert.Equal(expected[1], first.Span<float>());
        Assert.Equal(expected[2], second.Span<float>());
    }

    private static OneNode Node() => KernelHarness.Node("AdamW", ("beta1", 0.9f), ("beta2", 0.95f), ("epsilon", 1e-8f), ("weight_decay", 0.1f));

    private static float[][] Step(string? width, float[] parameter, float[] gradient, float[] m, float[] v, float rate, float scale, float bias1, float bias2) =>
        KernelHarness.Run(
            Node(), width, 2, TensorBuffer.Of(parameter, Count), TensorBuffer.Of(gradient, Count), TensorBuffer.Of(m, Count), TensorBuffer.Of(v, Count),
            TensorBuffer.Of([rate]), TensorBuffer.Of([scale]), TensorBuffer.Of([bias1]), TensorBuffer.Of([bias2]));
}
