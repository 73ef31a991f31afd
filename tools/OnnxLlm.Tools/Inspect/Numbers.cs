using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Inspect;

/// <summary>Reads, writes and fills buffers of either float type.</summary>
internal static class Numbers
{
    /// <summary>The functions' bodies run, not their kernels.</summary>
    internal static SessionSettings OnlyBodies { get; } = new() { Kernels = false, Threads = 1 };

    internal static double Get(TensorBuffer buffer, int index) =>
        buffer.Type == ElementType.Double ? buffer.Span<double>()[index] : buffer.Span<float>()[index];

    internal static void Set(TensorBuffer buffer, int index, double value)
    {
        if (buffer.Type == ElementType.Double) buffer.Span<double>()[index] = value;
        else buffer.Span<float>()[index] = (float)value;
    }

    internal static double[] ToDoubles(TensorBuffer buffer) => [.. Enumerable.Range(0, (int)buffer.Count).Select(i => Get(buffer, i))];

    /// <summary>Uniform numbers that single precision holds exactly, so that both float types see the same.</summary>
    internal static TensorBuffer Uniform(Random noise, ElementType type, long[] shape, (double Low, double High) range)
    {
        var buffer = TensorBuffer.Zeros(type, shape);
        for (int i = 0; i < buffer.Count; i++)
            Set(buffer, i, (float)(range.Low + (range.High - range.Low) * noise.NextDouble()));
        return buffer;
    }
}
