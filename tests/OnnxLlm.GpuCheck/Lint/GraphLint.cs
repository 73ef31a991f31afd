using System.Text.Json;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Lint;

/// <summary>Runs a graph as training and serving do: bound to buffers of the device, first as it is, then captured.</summary>
internal static class GraphLint
{
    private static readonly Device Gpu = Device.Cuda(0);

    /// <summary>What takes the place of an extent that the model leaves open.</summary>
    private const long OpenExtent = 4;

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
        string prefix = Path.Combine(Path.GetTempPath(), $"gpu-lint-{Environment.ProcessId}");
        using var session = new OrtSession(model, new SessionSettings { Device = Gpu, Strict = strict, ProfilePrefix = prefix });
        using var buffers = new Buffers(session, shared);
        buffers.Bound.Run();
        var run = CudaStub.During(buffers.Bound.Run);
        string profile = session.EndProfiling();
        var nodes = Nodes(profile);
        File.Delete(profile);
        return new Finding { Graph = name, Run = run, Nodes = nodes };
    }

    private static Finding Captured(byte[] model, Dictionary<string, string> shared, Finding finding)
    {
        using var session = new OrtSession(model, new SessionSettings { Device = Gpu, Capture = true });
        using var buffers = new Buffers(session, shared);
        return finding with { Capture = CudaStub.During(buffers.Bound.Run), Replay = CudaStub.During(buffers.Bound.Run) };
    }

    /// <summary>Two runs are in the profile.</summary>
    private static Dictionary<string, int> Nodes(string profile)
    {
        using var events = JsonDocument.Parse(File.ReadAllText(profile));
        return events.RootElement.EnumerateArray()
            .Where(e => e.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal))
            .Select(e => e.GetProperty("args"))
            .CountBy(args => $"{args.GetProperty("provider").GetString()} {args.GetProperty("op_name").GetString()}")
            .OrderBy(n => n.Key, StringComparer.Ordinal).ToDictionary(n => n.Key, n => n.Value / 2);
    }

    /// <summary>One buffer of the device for every input and output.</summary>
    private sealed class Buffers : IDisposable
    {
        private readonly Dictionary<string, TensorBuffer> _all = [];

        public Buffers(OrtSession session, Dictionary<string, string> shared)
        {
            Bound = session.Bind();
            foreach (var input in session.Inputs) Bound.Input(input.Name, _all[input.Name] = Make(input));
            foreach (var output in session.Outputs)
                Bound.Output(output.Name, shared.TryGetValue(output.Name, out string? input) ? _all[input] : _all[output.Name] = Make(output));
        }

        public BoundSession Bound { get; }

        public void Dispose()
        {
            Bound.Dispose();
            foreach (var buffer in _all.Values) buffer.Dispose();
        }

        private static TensorBuffer Make(TensorInfo info) => TensorBuffer.Zeros(Gpu, info.Type, [.. info.Shape.Select(extent => extent < 0 ? OpenExtent : extent)]);
    }
}
