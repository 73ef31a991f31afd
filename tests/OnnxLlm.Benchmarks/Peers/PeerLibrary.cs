using System.Reflection;
using System.Runtime.InteropServices;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The native libraries of others, which <c>npm ci --prefix tests/peers</c> installs.</summary>
public static class PeerLibrary
{
    /// <summary>The npm folder in the repository.</summary>
    public const string NpmFolder = "tests/peers";

    internal const string GenAi = "onnxruntime-genai", Llama = "llama", LlamaBackends = "ggml";

    private static readonly Dictionary<string, string> Places = new()
    {
        [GenAi] = "com.github.asus4.onnxruntime-genai/Plugins/Linux/x64/libonnxruntime-genai.so",
        [Llama] = "@node-llama-cpp/linux-x64/bins/linux-x64/libllama.v0.5.0.so",
        [LlamaBackends] = "@node-llama-cpp/linux-x64/bins/linux-x64/libggml.v0.5.0.so",
    };

    static PeerLibrary() => NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) =>
        Places.TryGetValue(name, out string? place) ? NativeLibrary.Load(Find(place)) : 0);

    /// <summary>Fails, with the command that installs it, where one of them is missing.</summary>
    internal static void Require()
    {
        foreach (string place in Places.Values) Find(place);
    }

    /// <summary>Makes sure that the libraries are looked for in the npm folder.</summary>
    internal static void Use()
    {
        // Running the static constructor is all there is to do.
    }

    /// <summary>Folder of a library.</summary>
    internal static string FolderOf(string library) => Path.GetDirectoryName(Find(Places[library]))!;

    private static string Find(string place)
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
            if (Path.Combine(folder, NpmFolder, "node_modules", place) is var path && File.Exists(path)) return path;
        throw new BenchmarkException($"{Path.GetFileName(place)} is not installed; run npm ci --prefix {NpmFolder} on Linux x64.");
    }
}
