using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>Where a package's weights come from.</summary>
/// <param name="Run">Name or path of the training run, or of what was imported.</param>
/// <param name="Step">Optimizer steps taken.</param>
public sealed record PackageSource(string Run, long Step);

/// <summary>
/// The contract of a model package, <c>manifest.json</c>: what the folder holds, and the SHA-256 of every other file, without which the folder is refused.
/// </summary>
public sealed record PackageManifest
{
    public const string FileName = "manifest.json", ConfigFile = "config.json", ModelFile = "model.onnx", WeightsFile = "model.safetensors";

    /// <summary>The version that this code writes and reads.</summary>
    public const int CurrentFormat = 1;

    private static readonly JsonSerializerOptions Options = new(JsonSerializerOptions.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NewLine = "\n",
    };

    public int Format { get; init; } = CurrentFormat;

    /// <summary>The family, as in <c>config.json</c>.</summary>
    public required string ModelType { get; init; }

    public required long ParameterCount { get; init; }

    /// <summary>Number format of the weights in <c>model.onnx</c>: <c>float32</c>, or <c>int8</c> once quantized.</summary>
    public string Precision { get; init; } = "float32";

    public PackageSource? Source { get; init; }

    /// <summary>How the model was quantized and what that was measured to cost; null while it is not.</summary>
    public JsonObject? Quantization { get; init; }

    /// <summary>Lower-case SHA-256 of every file of the folder but this one, by file name.</summary>
    public ImmutableSortedDictionary<string, string> Files { get; init; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Reads the manifest; the files it lists are not looked at.</summary>
    public static PackageManifest Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new GraphException($"{folder} is not a model package: it has no {FileName}.");
        try
        {
            var manifest = JsonSerializer.Deserialize<PackageManifest>(File.ReadAllBytes(path), Options) ?? throw new JsonException("it is empty.");
            return manifest.Format == CurrentFormat
                ? manifest
                : throw new GraphException($"{path} has format {manifest.Format}; this program reads format {CurrentFormat}.");
        }
        catch (JsonException e)
        {
            throw new GraphException($"{path} is damaged: {e.Message}");
        }
    }

    /// <summary>Reads the manifest and checks that every file it lists is there, unchanged, and in this folder.</summary>
    public static PackageManifest Verify(string folder)
    {
        var manifest = Read(folder);
        foreach (var (name, hash) in manifest.Files)
        {
            if (name != Path.GetFileName(name)) throw new GraphException($"The manifest of {folder} lists '{name}', which is not a file of the folder.");
            string path = Path.Combine(folder, name);
            if (!File.Exists(path)) throw new GraphException($"{folder} lacks {name}, which its manifest lists.");
            if (Hash(path) != hash) throw new GraphException($"{path} is not the file that the manifest describes: its SHA-256 differs.");
        }
        return manifest;
    }

    /// <summary>Hashes every file of the folder and writes the manifest; the last step of making or changing a package.</summary>
    public PackageManifest Seal(string folder)
    {
        var names = Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)!).Where(name => name != FileName);
        var hashed = this with { Files = names.ToImmutableSortedDictionary(name => name, name => Hash(Path.Combine(folder, name)), StringComparer.Ordinal) };
        File.WriteAllBytes(Path.Combine(folder, FileName), [.. JsonSerializer.SerializeToUtf8Bytes(hashed, Options), (byte)'\n']);
        return hashed;
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
