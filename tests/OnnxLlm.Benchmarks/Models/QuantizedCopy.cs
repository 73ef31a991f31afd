using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Benchmarks.Models;

/// <summary>The INT8 package of a float one, as <c>quantize</c> writes it, but without a gate: only speed is asked here.</summary>
internal static class QuantizedCopy
{
    private static readonly string[] Left = [PackageManifest.ModelFile, PackageManifest.ModelFile + ".data", PackageManifest.WeightsFile];

    /// <summary>Writes the package beside nothing else into <paramref name="folder"/>, and returns its path.</summary>
    public static string Write(string source, string folder)
    {
        PackageManifest manifest = PackageManifest.Verify(source);
        if (manifest.Precision != "float32") throw new BenchmarkException($"{source} is {manifest.Precision} already; give the float package.");
        QuantizedModel model = WeightQuantizer.Quantize(OnnxFile.Read(Path.Combine(source, PackageManifest.ModelFile)), new QuantizationSettings());
        string package = Path.Combine(folder, $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(source))}-int8");
        PackageWriter.Replace(package, partial =>
        {
            foreach (string name in manifest.Files.Keys.Except(Left)) File.Copy(Path.Combine(source, name), Path.Combine(partial, name));
            OnnxFile.Write(model.Model, Path.Combine(partial, PackageManifest.ModelFile));
            return manifest with { Precision = "int8" };
        });
        return package;
    }
}
