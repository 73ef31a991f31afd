using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>The INT8 package of a float one, as <c>quantize</c> writes it, but without a gate: only speed is asked here.</summary>
internal static class QuantizedCopy
{
    private static readonly string[] Left = [PackageManifest.ModelFile, PackageManifest.DataFile, PackageManifest.WeightsFile];

    /// <summary>Writes the package into <paramref name="folder"/>, and returns its path.</summary>
    /// <param name="source">The float package.</param>
    /// <param name="folder">Where the other is to be.</param>
    /// <param name="cache">What its cache holds.</param>
    /// <param name="calibration">Tokens from which the scales of an 8-bit cache are found.</param>
    public static string Write(string source, string folder, ElementType cache = ElementType.BFloat16, int[]? calibration = null)
    {
        PackageManifest manifest = PackageManifest.Verify(source);
        if (manifest.Precision != "float32") throw new BenchmarkException($"{source} is {manifest.Precision} already; give the float package.");
        ModelProto model = WeightQuantizer.Quantize(OnnxFile.Read(Path.Combine(source, PackageManifest.ModelFile)), new QuantizationSettings()).Model;
        model = cache switch
        {
            ElementType.Int8 => CacheQuantizer.Quantize(model, CacheCalibration.Scales(model, ModelConfig.Load(Path.Combine(source, PackageManifest.ConfigFile)), calibration!, threads: 0)),
            ElementType.BFloat16 => CacheQuantizer.ToBFloat16(model),
            _ => model,
        };
        string package = PathOf(source, folder, cache);
        PackageWriter.Replace(package, partial =>
        {
            foreach (string name in manifest.Files.Keys.Except(Left)) File.Copy(Path.Combine(source, name), Path.Combine(partial, name));
            OnnxFile.Write(model, Path.Combine(partial, PackageManifest.ModelFile), QuantizedPackage.ExternalThreshold);
            return manifest with { Precision = "int8" };
        });
        return package;
    }

    /// <summary>Where the package of a float one is written.</summary>
    public static string PathOf(string source, string folder, ElementType cache) =>
        Path.Combine(folder, $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(source))}-int8{(cache == ElementType.BFloat16 ? "" : $"-{cache}-cache")}");
}
