using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tools;

/// <summary>A model package that an earlier command may have left.</summary>
internal static class PackageFolder
{
    /// <summary>The manifest of a package whose model continues texts, once every file is what it says.</summary>
    /// <param name="command">What is asked of the model.</param>
    /// <exception cref="ToolException">It does not.</exception>
    public static PackageManifest RequireDecoder(string folder, string command)
    {
        var manifest = PackageManifest.Verify(folder);
        RequireDecoder(ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile)), folder, command);
        return manifest;
    }

    /// <inheritdoc cref="RequireDecoder(string, string)"/>
    public static void RequireDecoder(ModelConfig config, string folder, string command)
    {
        if (!config.IsDecoder) throw new ToolException($"{folder} holds {config.Kind} ({config.ModelType}); {command} is for decoders, which continue texts.");
    }

    /// <summary>Its manifest; null where there is none, or a damaged one, so that it is written anew.</summary>
    public static PackageManifest? Intact(string folder)
    {
        try
        {
            return File.Exists(Path.Combine(folder, PackageManifest.FileName)) ? PackageManifest.Verify(folder) : null;
        }
        catch (GraphException)
        {
            return null;
        }
    }
}
