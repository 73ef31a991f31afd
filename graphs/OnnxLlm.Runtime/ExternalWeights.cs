using Microsoft.ML.OnnxRuntime;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// The weights of a model that has them in a second file, in memory of this process. The runtime itself would map the file: whoever alters it in place would alter the model that
/// runs, and whoever cuts it would end the process.
/// </summary>
internal sealed class ExternalWeights : IDisposable
{
    private const long Alignment = 64;

    private readonly List<(string Name, OrtValue Value)> _tensors = [];
    private readonly NativeBlock _memory;

    private ExternalWeights(long bytes) => _memory = NativeBlock.InLargePages(Device.Cpu, bytes);

    /// <summary>Those of a model on the CPU; null where all of it is in one file.</summary>
    public static ExternalWeights? Read(string model, SessionSettings settings)
    {
        if (settings.Device.IsCuda || !File.Exists(model + OnnxFile.DataSuffix)) return null;
        return ModelRuntimeException.Reading(() =>
        {
            var (read, tensors) = OnnxFile.ReadGraph(model);
            return Read(read.Graph, tensors, settings);
        });
    }

    /// <summary>Those of a graph on the CPU; null where it has all of them.</summary>
    public static ExternalWeights? Read(GraphProto graph, IReadOnlyList<ExternalTensor> tensors, SessionSettings settings) =>
        tensors.Count == 0 ? null : Read(tensors, settings.Kernels ? QuantizedTensors.Of(graph, tensors) : QuantizedTensors.None);

    /// <summary>A session with these options uses this memory, which must outlive it.</summary>
    public void AddTo(SessionOptions options)
    {
        foreach (var (name, value) in _tensors) options.AddInitializer(name, value);
    }

    public void Dispose()
    {
        foreach (var (_, value) in _tensors) value.Dispose();
        _memory.Dispose();
    }

    private static ExternalWeights Read(IReadOnlyList<ExternalTensor> tensors, QuantizedTensors quantized)
    {
        var weights = new ExternalWeights(tensors.Sum(tensor => Aligned(quantized.BytesOf(tensor))));
        try
        {
            long offset = 0;
            foreach (ExternalTensor tensor in tensors)
            {
                weights.Add(tensor, offset, quantized);
                offset += Aligned(quantized.BytesOf(tensor));
            }
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private void Add(ExternalTensor tensor, long offset, QuantizedTensors quantized)
    {
        TensorBuffer memory = TensorBuffer.Over(_memory, offset, tensor.Type, quantized.ShapeOf(tensor));
        long bytes = quantized.BytesOf(tensor);
        if (memory.Bytes != bytes) throw new ModelRuntimeException($"'{tensor.Name}' takes {memory.Bytes} bytes, not {bytes}.");
        _tensors.Add((tensor.Name, BoundSession.Value(memory)));
        using FileStream file = File.OpenRead(tensor.Path);
        file.Position = tensor.Offset;
        quantized.Read(tensor, file, memory);
    }
}
