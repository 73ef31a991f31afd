using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>A model package whose every file is the one that its manifest describes, ready to be loaded. All that is wrong with a folder is a <see cref="ModelRuntimeException"/>.</summary>
public sealed class ModelPackage
{
    private ModelPackage(string folder, PackageManifest manifest, ModelConfig config) => (Folder, Manifest, Config) = (folder, manifest, config);

    /// <summary>Full path of the folder; the tokenizer's files are here too.</summary>
    public string Folder { get; }

    public PackageManifest Manifest { get; }

    public ModelConfig Config { get; }

    /// <summary>The graph that answers; of an encoder-decoder the one that writes.</summary>
    public string ModelPath => Path.Combine(Folder, PackageManifest.ModelFile);

    /// <summary>The graph that reads, of an encoder-decoder.</summary>
    public string EncoderPath => Path.Combine(Folder, PackageManifest.EncoderFile);

    /// <summary>SHA-256 of the graphs and their weights, wherever they lie: what answers depend on.</summary>
    public string ModelHash => Manifest.ModelHash!;

    /// <summary>Number format of the weights: <c>float32</c> or <c>int8</c>.</summary>
    public string Precision => Manifest.Precision;

    /// <summary>Numbers that training found.</summary>
    public long ParameterCount => Manifest.ParameterCount;

    /// <summary>How the model was quantized and what that was measured to cost; null where it is not.</summary>
    public JsonObject? Quantization => Manifest.Quantization;

    /// <summary>
    /// How many times as fast it was measured to answer with quantized weights as with floats, on the same kind of device, a GPU being one of the same name; the least where it was measured with several
    /// numbers of sequences, null where it was not measured there.
    /// </summary>
    public double? QuantizationSpeedup(Device device) => QuantizationSpeedup(device.Provider, device.Card);

    internal double? QuantizationSpeedup(string provider, string? card) =>
        (Manifest.Quantization?["speed"] as JsonArray)?.OfType<JsonObject>()
            .Where(measured => (string?)measured["provider"] == provider && (string?)measured["card"] == card)
            .Min(measured => (double?)measured["quantized_decode"] / (double?)measured["float_decode"]);

    /// <summary>Whether products run with 8-bit weights, as these settings have it: what is asked for, else on a GPU what was measured to be faster there. On the CPU memory counts more.</summary>
    public bool RunsQuantized(SessionSettings settings) =>
        Quantization is not null && (settings.QuantizedWeights ?? !(settings.Device.IsCuda && QuantizationSpeedup(settings.Device) < 1));

    /// <summary>Checks every hash, which takes about a second per gigabyte.</summary>
    public static ModelPackage Open(string folder)
    {
        folder = Path.GetFullPath(folder);
        if (!Directory.Exists(folder)) throw new ModelRuntimeException($"There is no folder {folder}.");
        try
        {
            PackageManifest manifest = PackageManifest.Verify(folder);
            Require(manifest, folder, PackageManifest.ModelFile, PackageManifest.ConfigFile);
            var package = new ModelPackage(folder, manifest, ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile)));
            if (package.Config.IsEncoderDecoder) Require(manifest, folder, PackageManifest.EncoderFile);
            return package;
        }
        catch (Exception error) when (error is GraphException or IOException or UnauthorizedAccessException)
        {
            throw new ModelRuntimeException(error.Message, error);
        }
    }

    private static void Require(PackageManifest manifest, string folder, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            string data = name + OnnxFile.DataSuffix;
            if (!manifest.Files.ContainsKey(name)) throw new ModelRuntimeException($"The manifest of {folder} does not list {name}.");
            if (File.Exists(Path.Combine(folder, data)) && !manifest.Files.ContainsKey(data)) throw new ModelRuntimeException($"The manifest of {folder} does not list {data}, where weights lie.");
        }
    }
}
