using System.Globalization;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>A package in words for a report.</summary>
internal static class MeasuredModel
{
    public static string Describe(string folder)
    {
        PackageManifest manifest = PackageManifest.Read(folder);
        ModelConfig config = ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile));
        string origin = manifest.Source is { } source ? $"trained ({source.Run}, step {source.Step})" : "random weights";
        return string.Create(CultureInfo.InvariantCulture,
            $"{config.ModelType}, {config.Layers} layers, width {config.Width}, {config.Heads} heads ({config.KeyValueHeads} for keys and values), feed-forward {config.FeedForward}, vocabulary {config.VocabularySize}, {manifest.ParameterCount / 1e6:F1} M parameters, {manifest.Precision}; {origin}.");
    }
}
