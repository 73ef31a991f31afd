using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Runtime;

/// <summary>A model package whose every file is the one that its manifest describes, ready to be loaded. All that is wrong with a folder is a <see cref="ModelRuntimeException"/>.</summary>
public sealed class ModelPackage
{
    private ModelPackage(string folder, PackageManifest manifest, ModelConfig config) => (Folder, Manifest, Config) = (folder, manifest, config);

    /// <summary>Full path of the folder; the tokenizer's files are here too.</summary>
    public string Folder { get; }

    public PackageManifest Manifest { get; }

    public ModelConfig Config { get; }

    /// <summary>The generation graph.</summary>
    public string ModelPath => Path.Combine(Folder, PackageManifest.ModelFile);

    /// <summary>SHA-256 over the names and hashes of all files: of what answers depend on, weights beside the graph included.</summary>
    public string ModelHash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', Manifest.Files.Select(file => $"{file.Key} {file.Value}")))));

    /// <summary>Number format of the weights: <c>float32</c> or <c>int8</c>.</summary>
    public string Precision => Manifest.Precision;

    /// <summary>Numbers that training found.</summary>
    public long ParameterCount => Manifest.ParameterCount;

    /// <summary>How the model was quantized and what that was measured to cost; null where it is not.</summary>
    public JsonObject? Quantization => Manifest.Quantization;

    /// <summary>How many times as fast as before quantization the model was measured to decode on a provider; the least of several measurements, null without any.</summary>
    public double? QuantizationSpeedup(string provider) =>
        (Manifest.Quantization?["speed"] as JsonArray)?.OfType<JsonObject>()
            .Where(measured => (string?)measured["provider"] == provider)
            .Min(measured => (double?)measured["quantized_decode"] / (double?)measured["float_decode"]);

    /// <summary>Checks every hash, which takes about a second per gigabyte.</summary>
    public static ModelPackage Open(string folder)
    {
        folder = Path.GetFullPath(folder);
        if (!Directory.Exists(folder)) throw new ModelRuntimeException($"There is no folder {folder}.");
        try
        {
            PackageManifest manifest = PackageManifest.Verify(folder);
            if (new[] { PackageManifest.ModelFile, PackageManifest.ConfigFile }.FirstOrDefault(name => !manifest.Files.ContainsKey(name)) is { } missing)
                throw new ModelRuntimeException($"The manifest of {folder} does not list {missing}.");
            return new ModelPackage(folder, manifest, ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile)));
        }
        catch (Exception error) when (error is GraphException or IOException or UnauthorizedAccessException)
        {
            throw new ModelRuntimeException(error.Message, error);
        }
    }
}
