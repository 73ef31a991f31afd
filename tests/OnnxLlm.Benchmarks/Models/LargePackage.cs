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
}
