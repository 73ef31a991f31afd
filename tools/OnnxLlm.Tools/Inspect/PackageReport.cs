using System.Globalization;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Inspect;

/// <summary>What a model package holds: architecture, origin, graph, quantization and files, after a check of every hash.</summary>
internal static class PackageReport
{
    public static void Write(string folder, TextWriter output)
    {
        var manifest = PackageManifest.Verify(folder);
        var config = ModelConfig.Load(Path.Combine(folder, PackageManifest.ConfigFile));
        var graph = OnnxFile.Read(Path.Combine(folder, PackageManifest.ModelFile)).Graph;
        string origin = manifest.Source is { } source ? $", run {source.Run}, step {source.Step}" : "";
        Line($"{folder}: {manifest.ModelType}, {manifest.ParameterCount:N0} parameters, {manifest.Precision}{origin}");
        Line($"  layers {config.Layers}, width {config.Width}, heads {config.Heads} over {config.KeyValueHeads}, feed-forward {config.FeedForward}, tied {Yes(config.TiedEmbeddings)}");
        Line($"  vocabulary {config.VocabularySize}, context {config.MaxPositions}, {(config.IsDecoder ? "" : $"{config.Kind}, ")}{(config.IsClassifier ? $"labels {string.Join(", ", config.Labels)}, " : "")}begins with {Token(config.DecoderStartTokenId ?? config.BosTokenId)}, ends with {Token(config.EosTokenId)}");
        Line($"  {graph.Node.Count} nodes: {string.Join(", ", graph.Node.CountBy(n => n.OpType).OrderByDescending(p => p.Value).ThenBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Value} {p.Key}"))}");
        foreach (var (name, hash) in manifest.Files) Line($"  {new FileInfo(Path.Combine(folder, name)).Length,12:N0} bytes  {hash[..12]}  {name}");

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }

    private static string Yes(bool value) => value ? "yes" : "no";

    private static string Token(int? id) => id is { } known ? string.Create(CultureInfo.InvariantCulture, $"token {known}") : "none";
}
