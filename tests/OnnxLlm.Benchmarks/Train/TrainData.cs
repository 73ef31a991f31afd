using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>
/// Weights and batches that both sides read: GPT-2's initialization (normal 0.02, projections into the residual stream scaled by
/// 1/√(2 layers)), and a few batches of random tokens whose frequencies fall off steeply, so that there is something to learn.
/// </summary>
internal sealed class TrainData(TrainJob job)
{
    public const string Weights = "model.safetensors";
    public const string Batches = "batches.safetensors";
    public const int BatchCount = 4;
    private const int Seed = 1;
    private const double Deviation = 0.02;

    private readonly Random _random = new(Seed);

    public void Write(string folder, IEnumerable<(string Name, ImmutableArray<long> Shape)> parameters)
    {
        Safetensors.Write(Path.Combine(folder, Weights), [.. parameters.Select(parameter => Weight(parameter.Name, parameter.Shape))]);
        Safetensors.Write(Path.Combine(folder, Batches), Tokens());
    }

    private SafetensorsSource Weight(string name, ImmutableArray<long> shape)
    {
        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        if (shape.Length == 1)
            Array.Fill(values, name.EndsWith(".weight", StringComparison.Ordinal) ? 1 : 0);
        else
            Fill(values, name.Contains(".c_proj.", StringComparison.Ordinal) ? Deviation / Math.Sqrt(2 * job.Layers) : Deviation);
        return SafetensorsSource.Of(name, ElementType.Float, shape, Bytes(values));
    }

    private void Fill(Span<float> values, double deviation)
    {
        foreach (ref float value in values)
            value = (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble()));
    }

    /// <summary>input_ids and labels, both [batches, B, T]; a label is the token after its input.</summary>
    private SafetensorsSource[] Tokens()
    {
        long[] ids = new long[BatchCount * job.Batch * job.Time], labels = new long[ids.Length];
        for (int row = 0; row < ids.Length; row += job.Time)
        {
            long token = Token();
            for (int i = row; i < row + job.Time; i++)
                (ids[i], labels[i]) = (token, token = Token());
        }
        ImmutableArray<long> shape = [BatchCount, job.Batch, job.Time];
        return [SafetensorsSource.Of("input_ids", ElementType.Int64, shape, Bytes(ids)), SafetensorsSource.Of("labels", ElementType.Int64, shape, Bytes(labels))];
    }

    private long Token() => (long)(job.Vocabulary * Math.Pow(_random.NextDouble(), 3));

    private static byte[] Bytes<T>(T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
}
