using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Inspect;

/// <summary>Compares a function in single precision, by its kernel or by its body, with its body in double precision.</summary>
internal static class KernelCheck
{
    /// <summary>Roundings of one element besides those of the sum, exponentials and roots counted as several.</summary>
    private const double Roundings = 16;

    /// <summary>The largest difference, relative to the largest element of the output. Two NaNs agree, as do equal infinities, and codes of 8 bits that lie side by side: the last bit may decide which one is nearer.</summary>
    internal static Measurement Measure(KernelCase kernelCase, bool kernels)
    {
        (ElementType Type, double[] Values)[] expected = Run(kernelCase, kernelCase.Reference, kernels: false), actual = Run(kernelCase, ElementType.Float, kernels);
        double error = expected.Zip(actual, Difference).Max();
        double tolerance = (MathF.BitIncrement(1f) - 1) * (Roundings + 2 * Math.Sqrt(kernelCase.LongestSum));
        return new Measurement(kernelCase.Function, kernelCase.Form, ElementType.Float, error, tolerance);
    }

    private static (ElementType Type, double[] Values)[] Run(KernelCase kernelCase, ElementType type, bool kernels)
    {
        var g = new GraphBuilder();
        var noise = new Random(1);
        var feeds = new Dictionary<string, TensorBuffer>();
        var xs = new List<Value>();
        foreach (TensorShape shape in kernelCase.Shapes)
        {
            xs.Add(g.Input($"x{xs.Count}", type, shape));
            feeds[xs[^1].Name!] = Numbers.Uniform(noise, type, shape.ToArray(), kernelCase.Range);
        }
        var outputs = kernelCase.Build(g, [.. xs]);
        if (g.Nodes[^1].Op != kernelCase.Function) throw new ToolException($"The case '{kernelCase}' does not end in {kernelCase.Function}.");
        for (int i = 0; i < outputs.Length; i++) g.Output($"y{i}", g.Cast(outputs[i], type));

        using var session = new OrtSession(OnnxFile.ToBytes(g.Build()), Numbers.OnlyBodies with { Kernels = kernels });
        var results = session.Run(feeds);
        (ElementType, double[])[] values = [.. outputs.Select((output, i) => (output.Type, Numbers.ToDoubles(results[$"y{i}"])))];
        foreach (TensorBuffer buffer in feeds.Values.Concat(results.Values)) buffer.Dispose();
        return values;
    }

    private static double Difference((ElementType Type, double[] Values) expected, (ElementType, double[] Values) actual)
    {
        double scale = expected.Values.Where(double.IsFinite).Select(Math.Abs).Append(1).Max(), rounded = expected.Type == ElementType.Int8 ? 1 : 0;
        return expected.Values.Zip(actual.Values, (e, a) => e.Equals(a) ? 0 : double.IsNaN(e - a) ? double.PositiveInfinity : Math.Abs(e - a) - rounded).Append(0).Max() / scale;
    }
}
