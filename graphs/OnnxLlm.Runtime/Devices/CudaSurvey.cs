using System.Collections.Immutable;

namespace OnnxLlm.Runtime.Devices;

/// <summary>A shared library, and whether the loader finds it.</summary>
public sealed record LibraryState(string Name, bool Found);

/// <summary>Everything that computing on an NVIDIA GPU needs, as found on this machine.</summary>
/// <param name="CoreKnowsCuda">The native ONNX Runtime was built with the CUDA provider's interface.</param>
/// <param name="Provider">The provider's own library, as a file beside the core.</param>
/// <param name="Libraries">NVIDIA's libraries that it is linked to, in the order they load.</param>
/// <param name="Cudnn">Optional: no graph of ours needs it.</param>
/// <param name="Driver">Null where none is installed.</param>
public sealed record CudaSurvey(bool CoreKnowsCuda, LibraryState Provider, ImmutableArray<LibraryState> Libraries, LibraryState Cudnn, CudaDriver? Driver)
{
    public const string ProviderLibrary = "libonnxruntime_providers_cuda.so";

    private static readonly Version Needed = new(13, 0);

    /// <summary>Where our own build puts the library, and where NuGet's layout does.</summary>
    private static readonly ImmutableArray<string> Folders = ["", "runtimes/linux-x64/native"];

    /// <summary>What the provider of ONNX Runtime 1.29 is linked to besides the driver.</summary>
    private static readonly ImmutableArray<string> LinkedTo = ["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10"];

    public static CudaSurvey Take() => new(
        OrtSession.Providers.Contains(Device.Cuda(0).Provider),
        new(ProviderLibrary, Folders.Any(folder => File.Exists(Path.Combine(AppContext.BaseDirectory, folder, ProviderLibrary)))),
        [.. LinkedTo.Select(State)],
        State("libcudnn.so.9"),
        CudaDriver.Read());

    /// <summary>Throws the first thing that is in the way of using GPU number <paramref name="ordinal"/>, with its remedy, as one line.</summary>
    public void Require(int ordinal)
    {
        if (Obstacle(ordinal) is { } obstacle) throw new ModelRuntimeException($"cuda:{ordinal} cannot be used: {obstacle}");
    }

    /// <summary>Null where nothing is in the way.</summary>
    public string? Obstacle(int ordinal)
    {
        if (!CoreKnowsCuda) return "this program was built with ONNX Runtime for the CPU only; build it with -p:Accelerator=cuda (docs/howto/gpu.md).";
        if (!Provider.Found) return $"{Provider.Name} is not beside the program; build it with -p:Accelerator=cuda (docs/howto/gpu.md).";
        if (Driver is not { } driver) return $"there is no CUDA driver ({CudaDriver.Library} is not found); install NVIDIA's driver, version 580 or later, and in a container pass the GPU through (--gpus all).";
        if (driver.Version < Needed) return $"the CUDA driver is too old: it runs CUDA up to {driver.Version}, {Needed} is needed; install NVIDIA's driver, version 580 or later.";
        if (driver.Devices.IsEmpty) return "the CUDA driver shows no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, and in a container pass the GPU through (--gpus all).";
        if (ordinal >= driver.Devices.Length) return $"there are {driver.Devices.Length} GPUs, numbered from 0.";
        return Libraries.FirstOrDefault(l => !l.Found) is { } missing
            ? $"{missing.Name} is not found; install the CUDA 13 runtime libraries and put their folder into LD_LIBRARY_PATH."
            : null;
    }

    private static LibraryState State(string name) => new(name, NativeLibraries.Find(name) != 0);
}
