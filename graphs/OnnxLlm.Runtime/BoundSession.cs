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
    private readonly CudaGate? _gate;
    private readonly bool _captures;
    private bool _captured;

    /// <param name="captureId">Number of what this binding records, from 1; 0 records nothing.</param>
    internal BoundSession(OrtSession owner, InferenceSession session, int captureId)
    {
        (_owner, _session) = (owner, session);
        _gate = owner.Device.IsCuda ? CudaRuntime.Of(owner.Device).Gate : null;
        using CudaGate.Hold held = Together();
        _binding = session.CreateIoBinding();
        if (owner.GivesBackMemory) _options.AddRunConfigEntry("memory.enable_memory_arena_shrinkage", "cpu:0");
        if (!owner.Device.IsCuda) return;
        _options.AddRunConfigEntry("disable_synchronize_execution_providers", "1");
        _captures = captureId > 0;
        if (_captures) _options.AddRunConfigEntry("gpu_graph_id", captureId.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Binds or rebinds an input.</summary>
    public BoundSession Input(string name, TensorBuffer buffer)
    {
        Require(_owner.Input(name), buffer, buffer.Shape.AsSpan());
        using CudaGate.Hold held = Together();
        using OrtValue value = Value(buffer);
        _binding.BindInput(name, value);
        _buffers[("input", name)] = buffer;
        return this;
    }

    /// <summary>
    /// Binds or rebinds an input to the first elements of a buffer of the host, read in another shape. Allocates no managed memory, for inputs whose shape changes with
    /// every run.
    /// </summary>
    public unsafe BoundSession Input(string name, TensorBuffer buffer, params ReadOnlySpan<long> shape)
    {
        TensorInfo info = _owner.Input(name);
        Require(info, buffer, shape);
        if (buffer.Device.IsCuda) return Input(name, buffer.View(0, shape));
        TensorBinding.BindInput(_binding, info, buffer.Data, buffer.BytesOf(shape), shape);
        _buffers[("input", name)] = buffer;
        return this;
    }

    /// <summary>Binds or rebinds an output; outputs that are not bound are not returned.</summary>
    public BoundSession Output(string name, TensorBuffer buffer)
    {
        Require(_owner.Output(name), buffer, buffer.Shape.AsSpan());
        using CudaGate.Hold held = Together();
        using OrtValue value = Value(buffer);
        _binding.BindOutput(name, value);
        _buffers[("output", name)] = buffer;
        return this;
    }

    /// <summary>
    /// One run. Returns when the bound outputs hold the results; on a GPU before that, as soon as the work is queued: whatever copies from or to the
    /// outputs waits for it. Allocates no managed memory.
    /// </summary>
    public void Run()
    {
        if (_captures && !_captured) Capture();
        using CudaGate.Hold held = Together();
        RunOnce();
    }

    /// <summary>The run that records executes the graph several times over. What is updated in place is put back after it, also where it fails.</summary>
    private void Capture()
    {
        var updated = new List<(TensorBuffer Buffer, TensorBuffer Former)>();
        try
        {
            foreach (TensorBuffer buffer in _buffers.Where(b => b.Key.Kind == "output").Select(b => b.Value).Where(IsInput)) updated.Add((buffer, Copy(buffer)));
            Record(updated);
        }
        finally
        {
            foreach ((_, TensorBuffer former) in updated) former.Dispose();
        }
        _captured = true;
    }

    private void Record(List<(TensorBuffer Buffer, TensorBuffer Former)> updated)
    {
        try
        {
            using CudaGate.Hold held = _gate!.Alone();
            RunOnce();
        }
        finally
        {
            foreach ((TensorBuffer buffer, TensorBuffer former) in updated) buffer.CopyFrom(former);
        }
    }

    private static TensorBuffer Copy(TensorBuffer buffer)
    {
        TensorBuffer copy = TensorBuffer.Zeros(buffer.Device, buffer.Type, buffer.Shape.AsSpan());
        copy.CopyFrom(buffer);
        return copy;
    }

    private unsafe bool IsInput(TensorBuffer buffer)
    {
        foreach (((string kind, _), TensorBuffer other) in _buffers)
            if (kind == "input" && other.Data == buffer.Data) return true;
        return false;
    }

    private unsafe void RunOnce()
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

    private CudaGate.Hold Together() => _gate is null ? default : _gate.Together();

    public void Dispose()
    {
        using CudaGate.Hold held = Together();
        _binding.Dispose();
        _options.Dispose();
    }

    /// <summary>A buffer elsewhere would be copied once, when it is bound, and not be looked at again.</summary>
    private void Require(TensorInfo info, TensorBuffer buffer, ReadOnlySpan<long> shape)
    {
        if (_captured) throw new ModelRuntimeException($"{info.Name} cannot be bound again: what was recorded keeps the addresses of its first run.");
        info.Require(buffer.Type, shape);
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
