using System.Diagnostics;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Devices;

/// <summary>
/// A folder with our programs, the CUDA-enabled core, the real CUDA provider, and stubs of NVIDIA's libraries built from tests/gpu/stub: programs started
/// there compute on a GPU, as far as they can tell. Shared by the tests that need it.
/// </summary>
public sealed class CudaStubs : IDisposable
{
    private static readonly string Packages = Repository.PathOf("artifacts", "cuda", "node_modules");
    private static readonly string Core = Path.Combine(Packages, "onnxruntime-node", "bin", "napi-v6", "linux", "x64", "libonnxruntime.so.1");
    private static readonly string Providers = Path.Combine(Packages, "com.github.asus4.onnxruntime.linux-x64-gpu", "Plugins", "Linux", "x64");

    private readonly string _folder = Directory.CreateTempSubdirectory("cuda-stubs-").FullName;

    public CudaStubs()
    {
        if (Missing is not null) return;
        foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory).Where(f => Path.GetExtension(f) is ".dll" or ".json"))
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        File.CreateSymbolicLink(Path.Combine(_folder, "libonnxruntime.so"), Core);
        foreach (string name in (string[])["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"])
            File.CreateSymbolicLink(Path.Combine(_folder, name), Path.Combine(Providers, name));
        using var build = Process.Start(new ProcessStartInfo(Repository.PathOf("tests", "gpu", "stub", "build.sh"), [Libraries]) { RedirectStandardError = true })!;
        string errors = build.StandardError.ReadToEnd();
        build.WaitForExit();
        Assert.True(build.ExitCode == 0, $"The stub libraries do not compile: {errors}");
    }

    /// <summary>Why these tests cannot run here; null where they can.</summary>
    public static string? Missing { get; } =
        !OperatingSystem.IsLinux() ? "the CUDA provider at hand is for Linux"
        : !File.Exists(Core) ? "the CUDA provider is not here; 'dotnet build graphs/OnnxRuntime -t:InstallCuda' fetches it through npm"
        : !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "gcc"))) ? "gcc, which builds the stub CUDA libraries, is not installed"
        : null;

    private string Libraries => Path.Combine(_folder, "stubs");

    /// <summary>A process of one of our programs; <paramref name="without"/> names a library that is then not there.</summary>
    public Process Start(string program, IEnumerable<string> arguments, string? without = null, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(_folder, program), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LD_LIBRARY_PATH"] = without is null ? Libraries : Without(without);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Links to the folder of the programs and to that of the libraries.</summary>
    public void Link(string programs, string libraries)
    {
        Directory.CreateSymbolicLink(programs, _folder);
        Directory.CreateSymbolicLink(libraries, Libraries);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Without(string library)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, $"without-{library}")).FullName;
        foreach (string file in Directory.EnumerateFiles(Libraries).Where(f => Path.GetFileName(f) != library))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        return folder;
    }
}

/// <summary>One such folder for all tests with stubs.</summary>
[CollectionDefinition(Name)]
public sealed class CudaStubTests : ICollectionFixture<CudaStubs>
{
    public const string Name = "CUDA stubs";
}
