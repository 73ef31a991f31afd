using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using OnnxLlm.Graphs.Onnx;

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
    public const string FileName = ManifestFile.Name, ConfigFile = "config.json", ModelFile = "model.onnx", WeightsFile = "model.safetensors";

    /// <summary>The weights of <see cref="ModelFile"/> where they have a file of their own.</summary>
    public const string DataFile = ModelFile + OnnxFile.DataSuffix;

    /// <summary>The graph that reads, of an encoder-decoder; <see cref="ModelFile"/> is then the one that writes.</summary>
    public const string EncoderFile = "encoder_model.onnx";

    /// <summary>The version that this code writes and reads.</summary>
    public const int CurrentFormat = 1;

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

    /// <summary>SHA-256 of the graphs and their weights, wherever they lie: what answers depend on. Null where no graph is listed.</summary>
    [JsonIgnore]
    public string? ModelHash => GraphHashes() switch
    {
        [] => null,
        [var alone] => alone,
        var several => Hash(string.Concat(several)),
    };

    /// <summary>Reads the manifest; the files it lists are not looked at.</summary>
    public static PackageManifest Read(string folder) => ManifestFile.Read<PackageManifest>(folder, "a model package", m => m.Format, CurrentFormat);

    /// <summary>Reads the manifest and checks that every file it lists is there, unchanged, and in this folder.</summary>
    public static PackageManifest Verify(string folder)
    {
        var manifest = Read(folder);
        FileHashes.Verify(folder, manifest.Files);
        return manifest;
    }

    /// <summary>Hashes every file of the folder and writes the manifest; the last step of making or changing a package.</summary>
    public PackageManifest Seal(string folder)
    {
        var hashed = this with { Files = FileHashes.Of(folder, FileName) };
        ManifestFile.Write(folder, hashed);
        return hashed;
    }

    private string[] GraphHashes() =>
        [.. new[] { ModelFile, EncoderFile }.SelectMany(name => new[] { name, name + OnnxFile.DataSuffix }).Where(Files.ContainsKey).Select(name => Files[name])];

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text)));
}
