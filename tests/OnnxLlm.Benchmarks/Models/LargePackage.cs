using OnnxLlm.Benchmarks.Peers;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>The INT8 package of <see cref="RandomModel.Large"/> that other runtimes, and the server, are compared with.</summary>
internal static class LargePackage
{
    /// <summary>Its path in a folder, where it is written unless it is there.</summary>
    public static string In(string folder)
    {
        string package = Path.Combine(folder, "random-int8");
        return Directory.Exists(package) ? package : QuantizedCopy.Write(RandomModel.Write(folder, RandomModel.Large), folder);
    }

    /// <summary>The path of a GGUF of the same shape, which is written unless it is there.</summary>
    public static string GgufIn(string folder)
    {
        string path = Path.Combine(folder, "random-q8_0.gguf");
        if (!File.Exists(path)) GgufFile.Write(path, RandomModel.Large);
        return path;
    }
}
