using System.Text;
using System.Text.Json;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// Writes a quantized package: the files of the float one, the quantized graph in the place of the float graph, and the model card. The float weights stay
/// behind: they are four times as large as what serving needs.
/// </summary>
internal static class QuantizedPackage
{
    /// <summary>From so many bytes on weights have a file of their own, from which the runtime reads them straight into the order that its kernel wants.</summary>
    internal const long ExternalThreshold = 16 << 20;

    private static readonly string[] Replaced =
        [PackageManifest.ModelFile, PackageManifest.DataFile, PackageManifest.WeightsFile, ModelCard.JsonFile, ModelCard.TextFile];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n" };

    public static void Write(QuantizationJob job, PackageManifest source, ModelProto model, QuantizationReport report) => PackageWriter.Replace(job.Target, folder =>
    {
        foreach (string name in source.Files.Keys.Except(Replaced)) File.Copy(Path.Combine(job.Source, name), Path.Combine(folder, name));
        OnnxFile.Write(model, Path.Combine(folder, PackageManifest.ModelFile), ExternalThreshold);
        var manifest = source with { Precision = "int8", Quantization = report.ToJson() };
        string title = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(job.Target)));
        WriteText(folder, ModelCard.JsonFile, ModelCard.Json(title, manifest).ToJsonString(Indented) + "\n");
        WriteText(folder, ModelCard.TextFile, ModelCard.Text(title, manifest, report));
        return manifest;
    });

    private static void WriteText(string folder, string name, string text) => File.WriteAllText(Path.Combine(folder, name), text, new UTF8Encoding(false));
}
