using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Graphs;

/// <summary>Activations and their derivatives ≡ values recorded with PyTorch at 1000 points of [−8, 8].</summary>
public sealed class ActivationTests
{
    /// <summary>Relative above 1: a single-precision 8 is rounded to 5e-7.</summary>
    private const double Tolerance = 1e-6;

    /// <summary>The runtime's own Sigmoid is right to 1e-7, not relatively; in the derivative of GELU it is multiplied by up to 35.</summary>
    private const double BodyDerivativeTolerance = 4e-6;

    private static readonly Dictionary<string, Func<GraphBuilder, Value, Value>> Activations = new()
    {
        ["gelu_tanh"] = (g, x) => g.Gelu(x),
        ["gelu_erf"] = (g, x) => g.GeluErf(x),
        ["silu"] = (g, x) => g.SwiGlu(x, g.Constant(TensorData.Of(ElementType.Float, [1000], [.. Enumerable.Repeat(1f, 1000)]))),
    };

    [Theory]
    [InlineData("gelu_tanh", true)]
    [InlineData("gelu_tanh", false)]
    [InlineData("gelu_erf", true)]
    [InlineData("silu", true)]
    [InlineData("silu", false)]
    public void Activation_EqualsPyTorch(string name, bool kernels)
    {
        using var recorded = Safetensors.Open(Path.Combine(AppContext.BaseDirectory, "Recorded", "activations.safetensors"));
        var g = new GraphBuilder();
        Value x = g.Input("x", ElementType.Float, [1000]), y = Activations[name](g, x);
        g.Output("y", y);
        g.Output("dx", Backward.Gradients(g.ReduceSum(y, keepDimensions: false), [x])[0]);

        using var session = new OrtSession(OnnxFile.ToBytes(g.Build()), new SessionSettings { Kernels = kernels, Threads = 1 });
        using var input = TensorBuffer.Of(recorded.Span<float>("x"), 1000);
        var outputs = session.Run(new Dictionary<string, TensorBuffer> { ["x"] = input });
        Near(recorded.Span<float>(name), outputs["y"], Tolerance);
        Near(recorded.Span<float>($"{name}.derivative"), outputs["dx"], kernels ? Tolerance : BodyDerivativeTolerance);
    }

    private static void Near(ReadOnlySpan<float> expected, TensorBuffer actual, double tolerance)
    {
        float[] values = actual.Span<float>().ToArray();
        actual.Dispose();
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - values[i]) <= tolerance * Math.Max(1, Math.Abs(expected[i])), $"{i}: {values[i]} is not {expected[i]}");
    }
}
