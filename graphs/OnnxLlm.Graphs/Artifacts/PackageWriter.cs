using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.EncoderDecoders;
using OnnxLlm.Graphs.Encoders;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>What a model package is made of.</summary>
public sealed record PackageContents
{
    public required ModelConfig Config { get; init; }

    /// <summary>Parameters under Hugging Face's names and in its layouts.</summary>
    public required WeightSource Weights { get; init; }

    /// <summary>Writes the same parameters as a safetensors file to the path it is given.</summary>
    public required Action<string> WriteSafetensors { get; init; }

    /// <summary>Folder with <c>tokenizer.json</c> and whatever accompanies it.</summary>
    public required string TokenizerFolder { get; init; }

    public PackageSource? Source { get; init; }
}

/// <summary>
/// Writes model packages: one folder that our server, ONNX Runtime GenAI (where the model continues texts) and Hugging Face's tools open. A package appears complete or not at all.
/// </summary>
public static class PackageWriter
{
    private static readonly string[] TokenizerFiles =
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt", "chat_template.jinja"];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n" };

    public static PackageManifest Write(string folder, PackageContents contents) => Replace(folder, partial =>
    {
        var config = contents.Config.Validated();
        WriteJson(partial, PackageManifest.ConfigFile, config.ToJson());
        if (config.IsDecoder) WriteGeneration(partial, config);
        CopyTokenizer(contents.TokenizerFolder, partial);
        contents.WriteSafetensors(Path.Combine(partial, PackageManifest.WeightsFile));
        WriteGraphs(partial, config, contents.Weights);
        return new PackageManifest { ModelType = config.ModelType, ParameterCount = ModelParameters.Count(config), Source = contents.Source };
    });

    /// <summary>
    /// Fills a new folder by <paramref name="write"/>, seals it with the manifest that this returns, and only then puts it in the place of an older package.
    /// </summary>
    public static PackageManifest Replace(string folder, Func<string, PackageManifest> write) =>
        ReplacedFolder.Write(folder, "a model package", partial => write(partial).Seal(partial));

    /// <summary>For those who answer by continuing texts.</summary>
    private static void WriteGeneration(string folder, ModelConfig config)
    {
        WriteJson(folder, "generation_config.json", GenAiConfig.Defaults(config));
        WriteJson(folder, "genai_config.json", GenAiConfig.Of(config));
    }

    private static void WriteGraphs(string folder, ModelConfig config, WeightSource weights)
    {
        if (config.IsEncoderDecoder) OnnxFile.Write(EncoderGraph.Export(config, weights), Path.Combine(folder, PackageManifest.EncoderFile));
        OnnxFile.Write(Graph(config, weights), Path.Combine(folder, PackageManifest.ModelFile));
    }

    private static ModelProto Graph(ModelConfig config, WeightSource weights) =>
        config.IsEncoderDecoder ? DecoderGraph.Export(config, weights)
        : config.IsClassifier ? ClassificationGraph.Export(config, weights)
        : config.IsEncoder ? MaskedLmGraph.Export(config, weights)
        : GenerationGraph.Export(config, weights);

    private static void CopyTokenizer(string from, string to)
    {
        if (!File.Exists(Path.Combine(from, TokenizerFiles[0]))) throw new GraphException($"{from} has no {TokenizerFiles[0]}.");
        foreach (string name in TokenizerFiles.Where(name => File.Exists(Path.Combine(from, name))))
            File.Copy(Path.Combine(from, name), Path.Combine(to, name));
    }

    private static void WriteJson(string folder, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(Indented) + "\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
}
