using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Tools.Inspect;

/// <summary>What a session on this machine can count on, one fact per line, for a person and for reports of problems.</summary>
internal static class MachineReport
{
    public static void Write(TextWriter output) => Write(output, CudaSurvey.Take());

    internal static void Write(TextWriter output, CudaSurvey cuda)
    {
        foreach (var (name, value) in Program().Concat(Machine()).Concat(Cuda(cuda))) output.WriteLine($"{name,-22} {value}");
    }

    private static IEnumerable<(string, string)> Program() =>
    [
        (".NET", $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}"),
        ("ONNX Runtime", $"{OrtSession.RuntimeVersion}, built with {string.Join(", ", OrtSession.Providers)}"),
    ];

    private static IEnumerable<(string, string)> Machine() =>
    [
        ("processor", $"{Processor() ?? RuntimeInformation.ProcessArchitecture.ToString()}, {Environment.ProcessorCount} cores for this process"),
        ("instructions", string.Join(", ", Instructions().Where(i => i.There).Select(i => i.Name).DefaultIfEmpty("none of those that the kernels look for"))),
        ("memory", string.Create(CultureInfo.InvariantCulture, $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0.0} GB for this process")),
    ];

    private static IEnumerable<(string, string)> Cuda(CudaSurvey cuda)
    {
        yield return ("CUDA core", cuda.CoreKnowsCuda ? "yes" : "no: this build is for the CPU");
        foreach (var library in cuda.Libraries.Prepend(cuda.Provider)) yield return (library.Name.Length > 21 ? "CUDA provider" : library.Name, Found(library));
        yield return (cuda.Cudnn.Name, $"{Found(cuda.Cudnn)} (optional)");
        yield return ("CUDA driver", cuda.Driver is { } driver ? $"runs CUDA up to {driver.Version}, {driver.Devices.Length} GPUs" : "not found (libcuda.so.1)");
        foreach (var (i, gpu) in (cuda.Driver?.Devices ?? []).Index())
            yield return ($"cuda:{i}", string.Create(CultureInfo.InvariantCulture, $"{gpu.Name}, {gpu.MemoryBytes / 1e9:0.0} GB, compute capability {gpu.Capability}, {gpu.Multiprocessors} multiprocessors"));
        yield return ("devices", cuda.Obstacle(0) is { } obstacle ? $"cpu; cuda cannot be used: {obstacle}" : "cpu, cuda");
    }

    private static string Found(LibraryState library) => library.Found ? "found" : "not found";

    private static (string Name, bool There)[] Instructions() =>
    [
        ("AVX2", Avx2.IsSupported), ("FMA", Fma.IsSupported), ("AVX-VNNI", AvxVnni.IsSupported), ("AVX-512", Avx512F.IsSupported),
        ("512-bit vectors", Vector512.IsHardwareAccelerated), ("NEON", System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported),
    ];

    /// <summary>The processor's name, where the system tells it.</summary>
    private static string? Processor() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
        : null;
}
