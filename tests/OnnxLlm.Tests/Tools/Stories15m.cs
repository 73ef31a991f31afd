using System.Text.Json;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;
using OnnxLlm.Tools.Evaluation;
using OnnxLlm.Tools.Import;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tests.Tools;

/// <summary>
/// stories15M as a package, imported once for all tests, and what PyTorch 1.13 and llama2.c (with equal ids) say of it: the 120 likeliest tokens from its first,
/// their mean loss, and the five largest scores in some places.
/// </summary>
public sealed class Stories15m : IDisposable
{
    internal const string NpmFolder = SampleModel.NpmFolder;

    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<string> _package, _quantized, _int8Cache;

    public Stories15m()
    {
        _package = new(Import);
        _quantized = new(() => Quantize("stories15m-int8", new()));
        _int8Cache = new(() => Quantize("stories15m-int8-cache", new() { Cache = ElementType.Int8 }));
    }

    /// <summary>Folder of the float package.</summary>
    public string Package => _package.Value;

    /// <summary>Folder of the INT8 package, which a gate of 1 % let through.</summary>
    public string Quantized => _quantized.Value;

    /// <summary>Folder of the INT8 package with an 8-bit cache, which a gate of 1 % let through as well.</summary>
    public string Int8Cache => _int8Cache.Value;

    internal static Reference Recorded { get; } = JsonSerializer.Deserialize<Reference>(
        File.ReadAllBytes(Repository.PathOf("tests", "OnnxLlm.Tests", "Recorded", "stories15m.json")), JsonSerializerOptions.Web)!;

    /// <summary>The first token and the likeliest after it, decoded one by one.</summary>
    internal static int[] Greedy(string folder, int count, bool kernels = true)
    {
        var package = ModelPackage.Open(folder);
        using var session = new GenerationSession(package, 1, package.Config.MaxPositions, new SessionSettings { Spinning = false, Kernels = kernels });
        int[] ids = [1, .. new int[count - 1]];
        for (int i = 1; i < count; i++) ids[i] = new LogitRow(session.Decode(ids.AsSpan(i - 1, 1), [i - 1])).Best;
        return ids;
    }

    public void Dispose() => _folder.Dispose();

    private string Import()
    {
        string target = _folder.File("stories15m");
        new PackageImport(SampleModel.Name, target).Write();
        return target;
    }

    private string Quantize(string name, QuantizationSettings settings)
    {
        string target = _folder.File(name);
        new QuantizationGate(new() { Source = Package, Target = target, Tokens = 1024, Settings = settings }, TimeProvider.System).Run();
        return target;
    }

    internal sealed record Reference(int[] GreedyIds, double MeanNll, Scores[] Best);

    /// <param name="Position">How many tokens came before the one whose scores these are the successors of.</param>
    internal sealed record Scores(int Position, int[] Ids, float[] Logits);
}
