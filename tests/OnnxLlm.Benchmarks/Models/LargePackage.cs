using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Graphs;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>The INT8 package of <see cref="RandomModel.Large"/> that other runtimes, and the server, are compared with.</summary>
internal static class LargePackage
{
    /// <summary>Its path in a folder, where it is written unless it is there.</summary>
    public static string In(string folder) => In(folder, ElementType.BFloat16);

    /// <summary>
    /// The path of the same package with a cache of floats. Stock runtimes run operators by their definitions, and that of a narrow cache widens and narrows all of it in every layer of every step:
    /// this is the package that they are fastest on.
    /// </summary>
    public static string PlainIn(string folder) => In(folder, ElementType.Float);

    private static string In(string folder, ElementType cache)
    {
        string package = QuantizedCopy.PathOf(Path.Combine(folder, "random"), folder, cache);
        return Directory.Exists(package) ? package : QuantizedCopy.Write(Float(), folder, cache);

        string Float()
        {
            string model = Path.Combine(folder, "random");
            return Directory.Exists(model) ? model : RandomModel.Write(folder, RandomModel.Large);
        }
    }

    /// <summary>The path of a GGUF of the same shape, which is written unless it is there.</summary>
    public static string GgufIn(string folder)
    {
        string path = Path.Combine(folder, "random-q8_0.gguf");
        if (!File.Exists(path)) GgufFile.Write(path, RandomModel.Large);
        return path;
    }
}
