using System.Security.Cryptography;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Import;

/// <summary>Makes a model package of a model that others trained.</summary>
/// <param name="Source">A file in llama2.c's format, or <see cref="SampleModel.Name"/>.</param>
/// <param name="Target">Folder of the package.</param>
internal sealed record PackageImport(string Source, string Target)
{
    /// <summary>The manifest, and whether the package was there already.</summary>
    public (PackageManifest Manifest, bool UpToDate) Write()
    {
        string path = Source == SampleModel.Name ? SampleModel.File() : Source;
        if (!File.Exists(path)) throw new ToolException($"There is no file '{path}'; known by name is only {SampleModel.Name}.");
        var origin = new PackageSource($"{(Source == SampleModel.Name ? Source : Path.GetFileName(path))} sha256:{Hash(path)}", Step: 0);
        return PackageFolder.Intact(Target) is { } manifest && manifest.Source == origin ? (manifest, true) : (Write(Llama2cFile.Read(path), origin), false);
    }

    private PackageManifest Write(Llama2cFile file, PackageSource origin)
    {
        string tokenizer = Directory.CreateTempSubdirectory("onnxllm-tokenizer-").FullName;
        try
        {
            file.Tokenizer().Save(tokenizer);
            return PackageWriter.Write(Target, new PackageContents
            {
                Config = file.Config,
                Weights = file.Weight,
                WriteSafetensors = path => Safetensors.Write(path, ModelParameters.Of(file.Config).Select(p => SafetensorsSource.Of(p.Name, Graphs.ElementType.Float, p.Shape, file.Weight(p.Name).Bytes))),
                TokenizerFolder = tokenizer,
                Source = origin,
            });
        }
        finally
        {
            Directory.Delete(tokenizer, recursive: true);
        }
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
