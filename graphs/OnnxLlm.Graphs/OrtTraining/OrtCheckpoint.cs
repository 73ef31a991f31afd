using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.OrtTraining;

/// <summary>
/// The checkpoint file of ORT Training 1.19: a FlatBuffer with the parameters, the trainable ones and the frozen ones apart. Optimizer state is left
/// out; the runtime then begins at step 0 with moments of 0.
/// </summary>
internal static class OrtCheckpoint
{
    private const string Identifier = "ODTC";

    /// <summary>The only version that 1.19 reads.</summary>
    private const int Version = 2;

    public static void Write(string path, ImmutableArray<ParameterInfo> parameters, WeightSource weights)
    {
        Require(parameters);
        using var stream = File.Create(path);
        FlatBufferWriter.Write(stream, Identifier, Root(parameters, weights));
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Offsets in the file have 31 bits.</summary>
    private static void Require(ImmutableArray<ParameterInfo> parameters)
    {
        long bytes = parameters.Sum(p => p.Count) * sizeof(float);
        if (bytes > OnnxFile.ExternalThreshold)
            throw new GraphException($"A checkpoint of ORT Training holds at most {OnnxFile.ExternalThreshold / 1e9:0.0} GB of parameters, this model has {bytes / 1e9:0.0} GB.");
    }

    private static FlatTable Root(ImmutableArray<ParameterInfo> parameters, WeightSource weights)
    {
        var module = new FlatTable(Tensors(parameters.Where(p => p.Trainable), weights), Tensors(parameters.Where(p => !p.Trainable), weights));
        return new(FlatValue.Of(Version), module);
    }

    /// <summary>Both lists must be there, even when empty.</summary>
    private static FlatList Tensors(IEnumerable<ParameterInfo> parameters, WeightSource weights) =>
        new([.. parameters.Select(p => Tensor(p.Name, weights(p.Name) ?? throw new GraphException($"'{p.Name}' has no weights.")))]);

    private static FlatTable Tensor(string name, TensorData data) => new(
        FlatValue.Of(name),
        null,
        new FlatNumbers(sizeof(long), MemoryMarshal.AsBytes(data.Shape.ToArray().AsSpan()).ToArray()),
        FlatValue.Of((int)data.Type),
        new FlatNumbers(1, data.Bytes));
}
