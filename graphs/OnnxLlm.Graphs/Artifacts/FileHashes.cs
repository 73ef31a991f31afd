using System.Collections.Immutable;
using System.Security.Cryptography;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>What a manifest says of the files of its folder: lower-case SHA-256 by file name.</summary>
internal static class FileHashes
{
    /// <summary>The hash of every file of the folder but the manifest itself.</summary>
    public static ImmutableSortedDictionary<string, string> Of(string folder, string manifest) =>
        Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)!).Where(name => name != manifest)
            .ToImmutableSortedDictionary(name => name, name => Of(Path.Combine(folder, name)), StringComparer.Ordinal);

    /// <summary>Checks that every listed file is there, unchanged, and in this folder.</summary>
    public static void Verify(string folder, IEnumerable<KeyValuePair<string, string>> files)
    {
        foreach (var (name, hash) in files)
        {
            if (name != Path.GetFileName(name)) throw new GraphException($"The manifest of {folder} lists '{name}', which is not a file of the folder.");
            string path = Path.Combine(folder, name);
            if (!File.Exists(path)) throw new GraphException($"{folder} lacks {name}, which its manifest lists.");
            if (Of(path) != hash) throw new GraphException($"{path} is not the file that the manifest describes: its SHA-256 differs.");
        }
    }

    private static string Of(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
