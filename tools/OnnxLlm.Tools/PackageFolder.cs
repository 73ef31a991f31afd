using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;

namespace OnnxLlm.Tools;

/// <summary>A model package that an earlier command may have left.</summary>
internal static class PackageFolder
{
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
