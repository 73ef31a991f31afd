using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>
/// Buffers bound once to a session's inputs and outputs, then run many times without copies. One buffer may be input and output:
/// the writing node then works in place, which is right only where it is the last reader of that buffer.
/// The buffers stay the caller's; running after one was disposed throws.
/// </summary>
public sealed class BoundSession : IDisposable
{
    private readonly OrtSession _owner;
    private readonly InferenceSession _session;
    private readonly OrtIoBinding _binding;
    private readonly RunOptions _options = new();
    private readonly Dictionary<(string Kind, string Name), TensorBuffer> _buffers = [];

    internal BoundSession(OrtSession owner, InferenceSession session)
    {
        (_owner, _session) = (owner, session);
        _binding = session.CreateIoBinding();
        if (owner.Device.IsCuda) _options.AddRunConfigEntry("disable_synchronize_execution_providers", "1");
    }

    /// <summary>Binds or rebinds an input.</summary>
    public BoundSession Input(string name, TensorBuffer buffer)
    {
        Require(_owner.Input(name), buffer);
        using OrtValue value = Value(buffer);
        _binding.BindInput(name, value);
        _buffers[("input", name)] = buffer;
        return this;
    }

    /// <summary>Binds or rebinds an output; outputs that are not bound are not returned.</summary>
    public BoundSession Output(string name, TensorBuffer buffer)
    {
        Require(_owner.Output(name), buffer);
        using OrtValue value = Value(buffer);
        _binding.BindOutput(name, value);
        _buffers[("output", name)] = buffer;
        return this;
    }

    /// <summary>
    /// One run. Returns when the bound outputs hold the results; on a GPU before that, as soon as the work is queued: whatever copies from or to the
    /// outputs waits for it. Allocates no managed memory.
    /// </summary>
    public unsafe void Run()
    {
        foreach (TensorBuffer buffer in _buffers.Values)
            _ = buffer.Data;
        try
        {
            _session.RunWithBinding(_options, _binding);
        }
        catch (OnnxRuntimeException error)
        {
            throw new ModelRuntimeException(error.Message, error);
        }
    }

    public void Dispose()
    {
        _binding.Dispose();
        _options.Dispose();
    }

    /// <summary>A buffer elsewhere would be copied once, when it is bound, and not be looked at again.</summary>
    private void Require(TensorInfo info, TensorBuffer buffer)
    {
        info.Require(buffer);
        if (buffer.Device != _owner.Device) throw new ModelRuntimeException($"{info.Name} needs a buffer on {_owner.Device}, got one on {buffer.Device}.");
    }

    /// <summary>Runs with outputs that the runtime allocates, and copies them.</summary>
    internal Dictionary<string, TensorBuffer> RunAndCopy()
    {
        foreach (TensorInfo output in _owner.Outputs)
            _binding.BindOutputToDevice(output.Name, OrtMemoryInfo.DefaultInstance);
        Run();
        using IDisposableReadOnlyCollection<OrtValue> values = _binding.GetOutputValues();
        return _owner.Outputs.Zip(values).ToDictionary(pair => pair.First.Name, pair => Copy(pair.Second));
    }

    private static TensorBuffer Copy(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        TensorBuffer buffer = TensorBuffer.Zeros((ElementType)info.ElementDataType, info.Shape);
        if (buffer.Count > 0)
            value.GetTensorMutableRawData().CopyTo(buffer.RawBytes());
        return buffer;
    }

    /// <summary>The buffer as the runtime sees it: no copy, so the buffer must outlive it.</summary>
    internal static unsafe OrtValue Value(TensorBuffer buffer)
    {
        using OrtMemoryInfo? place = buffer.Device.IsCuda ? CudaProvider.Memory(buffer.Device) : null;
        return OrtValue.CreateTensorValueWithData(
            place ?? OrtMemoryInfo.DefaultInstance, (TensorElementType)buffer.Type, [.. buffer.Shape], (nint)buffer.Data, buffer.Bytes);
    }
}
