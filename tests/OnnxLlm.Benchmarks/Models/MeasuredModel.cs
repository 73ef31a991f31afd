using System.Globalization;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>A package in words for a report.</summary>
internal static class MeasuredModel
{
    /// <summary>Bytes of the INT8 weights that every token needs, with the scales of their blocks in 16 bits: all but the embedding table, of which it needs a row.</summary>
    public static double ProductBytes(string folder)
    {
        const double bytes = 1 + 2.0 / 32;
        ModelConfig config = ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile));
        long table = config.TiedEmbeddings ? 0 : (long)config.VocabularySize * config.Width;
        return (PackageManifest.Read(folder).ParameterCount - table) * bytes;
    }

    public static string Describe(string folder)
    {
        PackageManifest manifest = PackageManifest.Read(folder);
        ModelConfig config = ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile));
        string origin = manifest.Source is { } source ? $"trained ({source.Run}, step {source.Step})" : "random weights";
        return string.Create(CultureInfo.InvariantCulture,
            $"{config.ModelType}, {config.Layers} layers, width {config.Width}, {config.Heads} heads ({config.KeyValueHeads} for keys and values), feed-forward {config.FeedForward}, vocabulary {config.VocabularySize}, {manifest.ParameterCount / 1e6:F1} M parameters, {manifest.Precision}; {origin}.");
    }
}
