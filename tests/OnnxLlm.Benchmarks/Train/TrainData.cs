using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>The weights and batches that both sides read. Token frequencies fall off steeply, so that there is something to learn.</summary>
internal sealed class TrainData(TrainJob job)
{
    public const string Weights = "model.safetensors";
    public const string Batches = "batches.safetensors";
    private const int BatchCount = 4;
    private const int Seed = 1;

    private readonly Random _random = new(Seed);

    public void Write(string folder)
    {
        var initializer = new Initializer(job.Model, Seed);
        Safetensors.Write(Path.Combine(folder, Weights), job.Graphs().Parameters.Select(parameter => Weight(initializer, parameter)));
        Safetensors.Write(Path.Combine(folder, Batches), Tokens());
    }

    private static SafetensorsSource Weight(Initializer initializer, ParameterInfo parameter)
    {
        var values = new float[parameter.Count];
        initializer.Fill(parameter, values);
        return SafetensorsSource.Of(parameter.Name, ElementType.Float, parameter.Shape, Bytes(values));
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
        return [Source("input_ids", ids), Source("labels", labels)];

        SafetensorsSource Source(string name, long[] values) => SafetensorsSource.Of(name, ElementType.Int64, shape, Bytes(values));
    }

    private long Token() => (long)(job.Vocabulary * Math.Pow(_random.NextDouble(), 3));

    private static byte[] Bytes<T>(T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
}
