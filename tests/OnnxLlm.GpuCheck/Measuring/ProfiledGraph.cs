using System.Text.Json;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>A graph on a device, run node by node under ONNX Runtime's profiler, which tells where each node ran.</summary>
internal sealed class ProfiledGraph : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundBuffers _buffers;
    private int _runs;

    /// <param name="model">The file.</param>
    /// <param name="shared">Outputs, each with the input that is the same buffer.</param>
    /// <param name="device">What runs it.</param>
    /// <param name="strict">A node that has to run on the CPU is an error.</param>
    public ProfiledGraph(byte[] model, IReadOnlyDictionary<string, string> shared, Device device, bool strict)
    {
        string prefix = Path.Combine(Path.GetTempPath(), $"profile-{Environment.ProcessId}");
        _session = new OrtSession(model, new SessionSettings { Device = device, Strict = strict, ProfilePrefix = prefix });
        _buffers = new BoundBuffers(_session, shared);
    }

    public void Run()
    {
        _buffers.Bound.Run();
        _runs++;
    }

    /// <summary>Nodes of a run, counted by "provider operator". Ends the profile.</summary>
    public Dictionary<string, int> Nodes()
    {
        string profile = _session.EndProfiling();
        using var events = JsonDocument.Parse(File.ReadAllText(profile));
        File.Delete(profile);
        return events.RootElement.EnumerateArray()
            .Where(e => e.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal))
            .Select(e => e.GetProperty("args"))
            .CountBy(args => $"{args.GetProperty("provider").GetString()} {args.GetProperty("op_name").GetString()}")
            .OrderBy(n => n.Key, StringComparer.Ordinal).ToDictionary(n => n.Key, n => n.Value / _runs);
    }

    public void Dispose()
    {
        _buffers.Dispose();
        _session.Dispose();
    }
}
