using Microsoft.ML.OnnxRuntime;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Runtime;

/// <summary>
/// The weights of a model that has them in a second file, in memory of this process. The runtime itself would map the file: whoever alters it in place would alter the model that
/// runs, and whoever cuts it would end the process.
/// </summary>
internal sealed class ExternalWeights : IDisposable
{
    private readonly List<(string Name, TensorBuffer Memory, OrtValue Value)> _tensors = [];

    /// <summary>Those of a model on the CPU; null where all of it is in one file.</summary>
    public static ExternalWeights? Read(string model, SessionSettings settings)
    {
        if (settings.Device.IsCuda || !File.Exists(model + ".data")) return null;
        var weights = new ExternalWeights();
        try
        {
            foreach (ExternalTensor tensor in OnnxFile.ExternalTensors(model)) weights.Add(tensor);
            return weights;
        }
        catch (Exception error)
        {
            weights.Dispose();
            if (error is GraphException or IOException or UnauthorizedAccessException) throw new ModelRuntimeException(error.Message, error);
            throw;
        }
    }

    /// <summary>A session with these options uses this memory, which must outlive it.</summary>
    public void AddTo(SessionOptions options)
    {
        foreach (var (name, _, value) in _tensors) options.AddInitializer(name, value);
    }

    public void Dispose()
    {
        foreach (var (_, memory, value) in _tensors)
        {
            value.Dispose();
            memory.Dispose();
        }
    }

    private void Add(ExternalTensor tensor)
    {
        TensorBuffer memory = TensorBuffer.Zeros(tensor.Type, tensor.Shape.AsSpan());
        _tensors.Add((tensor.Name, memory, BoundSession.Value(memory)));
        if (memory.Bytes != tensor.Length) throw new ModelRuntimeException($"'{tensor.Name}' takes {memory.Bytes} bytes, not {tensor.Length}.");
        using FileStream file = File.OpenRead(tensor.Path);
        file.Position = tensor.Offset;
        file.ReadExactly(memory.RawBytes());
    }
}
