using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Runs single kernels as one-node models, in every instruction width; those that the machine lacks are done in pieces by the framework.</summary>
internal static class KernelHarness
{
    /// <summary>The widths that a theory goes through.</summary>
    public static TheoryData<string> Widths => [.. WidthNames];

    public static IEnumerable<string> WidthNames => ["Scalar", "Portable", "Bits512"];

    /// <summary>A model of one kernel; types follow from the kernel's own description, names are the positions.</summary>
    public static OneNode Node(string op, params (string Name, object Value)[] attributes)
    {
        Kernel kernel = KernelList.All.Single(kernel => kernel.Name == op);
        return new OneNode(op)
        {
            Inputs = [.. kernel.Inputs.Select((type, i) => ($"in{i}", type))],
            Outputs = [.. kernel.Outputs.Select((type, i) => ($"out{i}", type))],
            Attributes = [.. attributes],
        };
    }

    /// <summary>Outputs of one run, floats all; the caller's inputs are disposed.</summary>
    public static float[][] Run(OneNode node, string? width, int threads, params TensorBuffer[] inputs) => [.. RunAny(node, width, threads, inputs).Cast<float[]>()];

    /// <summary>As <see cref="Run"/>, but an output that is not of floats comes as bytes.</summary>
    public static Array[] RunAny(OneNode node, string? width, int threads, params TensorBuffer[] inputs)
    {
        CustomOperator.ForcedWidth = width is null ? null : Enum.Parse<VectorWidth>(width);
        try
        {
            using var session = new OrtSession(node.Model(), new SessionSettings { Threads = threads });
            var outputs = session.Run(inputs.Select((buffer, i) => (buffer, i)).ToDictionary(pair => $"in{pair.i}", pair => pair.buffer));
            return [.. node.Outputs.Select(output => Take(outputs[output.Name]))];
        }
        finally
        {
            CustomOperator.ForcedWidth = null;
            foreach (TensorBuffer input in inputs) input.Dispose();
        }
    }

    /// <summary>Normally distributed values of a fixed seed.</summary>
    public static float[] Normal(int count, int seed, float scale = 1)
    {
        var random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = scale * (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return values;
    }

    /// <summary>Largest difference relative to the largest magnitude of the expected values, or to <paramref name="least"/> where those nearly cancel.</summary>
    public static double Error(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double least = double.Epsilon)
    {
        Assert.Equal(expected.Length, actual.Length);
        double worst = 0, largest = least;
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = Math.Abs(expected[i] - actual[i]);
            worst = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(worst, difference);
            largest = Math.Max(largest, Math.Abs(expected[i]));
        }
        return worst / largest;
    }

    private static Array Take(TensorBuffer buffer)
    {
        using (buffer)
            return buffer.Type == ElementType.Float ? buffer.Span<float>().ToArray() : buffer.RawBytes().ToArray();
    }
}
