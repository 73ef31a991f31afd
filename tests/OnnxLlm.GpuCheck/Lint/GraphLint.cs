using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>Runs a graph as training and serving do: bound to buffers of the device, first as it is, then captured.</summary>
internal static class GraphLint
{
    private static readonly Device Gpu = Device.Cuda(0);

    public static Finding Of(string name, Graph graph, IEnumerable<(string Input, string Output)> inPlace) => Of(name, OnnxFile.ToBytes(graph), inPlace);

    /// <param name="name">Of the finding.</param>
    /// <param name="model">The file.</param>
    /// <param name="inPlace">Inputs and outputs that share a buffer.</param>
    /// <param name="strict">Every node must be on the device, and the whole must be ready to be captured.</param>
    public static Finding Of(string name, byte[] model, IEnumerable<(string Input, string Output)> inPlace, bool strict = true)
    {
        try
        {
            var shared = inPlace.ToDictionary(pair => pair.Output, pair => pair.Input);
            var plain = Plain(name, model, shared, strict);
            return strict ? Captured(model, shared, plain) : plain;
        }
        catch (ModelRuntimeException error)
        {
            return new Finding { Graph = name, Error = error.Message };
        }
    }

    private static Finding Plain(string name, byte[] model, Dictionary<string, string> shared, bool strict)
    {
        using var profiled = new ProfiledGraph(model, shared, Gpu, strict);
        profiled.Run();
        var run = CudaStub.During(profiled.Run);
        return new Finding { Graph = name, Run = run, Nodes = profiled.Nodes() };
    }

    private static Finding Captured(byte[] model, Dictionary<string, string> shared, Finding finding)
    {
        using var session = new OrtSession(model, new SessionSettings { Device = Gpu, Capture = true });
        using var buffers = new BoundBuffers(session, shared);
        Activity? capture = null;
        var former = buffers.Updated.ToDictionary(b => b.Key, b => FirstByte(b.Value));
        CudaStub.WritingTo(buffers.Updated.Values, () => capture = CudaStub.During(buffers.Bound.Run));
        string[] changed = [.. buffers.Updated.Where(b => FirstByte(b.Value) != former[b.Key]).Select(b => b.Key)];
        return finding with { Capture = capture, Changed = changed, Replay = CudaStub.During(buffers.Bound.Run) };
    }

    /// <summary>That is the one which a recording alters.</summary>
    private static byte FirstByte(TensorBuffer buffer)
    {
        using var host = buffer.View(0, 1).ToHost();
        return host.RawBytes()[0];
    }
}
