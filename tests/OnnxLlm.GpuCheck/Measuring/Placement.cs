using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Where the nodes of a graph ran, as ONNX Runtime's profile tells.</summary>
/// <param name="Graph">step, optimizer or tokens.</param>
/// <param name="Providers">Nodes of a run by provider.</param>
/// <param name="Copies">Nodes that copy between the device and the host.</param>
internal sealed record Placement(string Graph, Dictionary<string, int> Providers, int Copies)
{
    /// <summary>A copy that comes now and then would show in so many.</summary>
    private const int DecodingSteps = 100;

    /// <summary>Every node ran on the device, none copied.</summary>
    public bool IsWholly(Device device) => Copies == 0 && Providers.Count == 1 && Providers.ContainsKey(device.Provider);

    /// <summary>The graphs of a training step in 16 bits, and that of a decoding step; on the CPU with 16 bits as rounded float32.</summary>
    public static IEnumerable<Placement> Of(Device device, Workload work)
    {
        var step = new StepSettings { Target = GraphTarget.Cuda, Precision = Precision.Bf16, Rounded = !device.IsCuda };
        var graphs = TrainingGraphs.Create(work.Model, new(work.Batch, work.Time), new(), step);
        yield return Of("step", OnnxFile.ToBytes(graphs.Step), graphs.StepInPlace, device);
        yield return Of("optimizer", OnnxFile.ToBytes(graphs.Optimizer), graphs.OptimizerInPlace, device);
        yield return Of("tokens", Tokens(device, work), Caches(work.Model), device, DecodingSteps);
    }

    private static Placement Of(string name, byte[] model, IEnumerable<(string Input, string Output)> inPlace, Device device, int runs = 2)
    {
        using var profiled = new ProfiledGraph(model, inPlace.ToDictionary(pair => pair.Output, pair => pair.Input), device, strict: true);
        for (int run = 0; run < runs; run++) profiled.Run();
        var nodes = profiled.Nodes();
        return new(
            name, nodes.GroupBy(n => n.Key.Split(' ')[0]).ToDictionary(g => g.Key, g => g.Sum(n => n.Value)),
            nodes.Where(n => n.Key.Contains("Memcpy", StringComparison.Ordinal)).Sum(n => n.Value));
    }

    private static byte[] Tokens(Device device, Workload work)
    {
        using var folder = new ScratchFolder();
        var model = OnnxFile.Read(RandomPackage.Write(folder.PathOf("float"), work.Model).ModelPath);
        return (device.IsCuda ? CudaGeneration.ForTokens(model, ElementType.Float16, work.Model.MaxPositions) : model).ToByteArray();
    }

    /// <summary>The caches of a generation graph, each bound as past and present.</summary>
    public static IEnumerable<(string Input, string Output)> Caches(ModelConfig config) => Enumerable.Range(0, config.Layers).SelectMany(layer => new[]
    {
        (GenerationGraph.PastKey(layer), GenerationGraph.PresentKey(layer)), (GenerationGraph.PastValue(layer), GenerationGraph.PresentValue(layer)),
    });
}
