using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace OnnxLlm.Tools.Measuring;

/// <summary>What a reader needs to know of the machine; nothing that identifies it.</summary>
internal sealed record Machine(string Processor, string VectorInstructions, int Cores, double MemoryGiB, string System)
{
    public static Machine Current { get; } = new(
        ProcessorName(), Vectors(), Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30), RuntimeInformation.RuntimeIdentifier);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Processor}, {VectorInstructions}, {Cores} cores, {MemoryGiB:F0} GiB, {System}");

    private static string Vectors() =>
        Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2" : RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>Cloud processors hide their model name ("AMD EPYC"), so family and model numbers go with it.</summary>
    private static string ProcessorName()
    {
        const string source = "/proc/cpuinfo";
        if (!File.Exists(source)) return "unknown processor";
        Dictionary<string, string> first = File.ReadLines(source).TakeWhile(line => line.Length > 0)
            .Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries))
            .Where(parts => parts.Length == 2).DistinctBy(parts => parts[0]).ToDictionary(parts => parts[0], parts => parts[1]);
        string name = first.GetValueOrDefault("model name", "unknown processor");
        return first.TryGetValue("cpu family", out string? family) ? $"{name} (family {family} model {first["model"]})" : name;
    }
}
