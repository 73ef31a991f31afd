using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>A model package in a folder that ends with the test.</summary>
internal sealed class TinyPackage : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("onnxllm-package").FullName;

    public TinyPackage(TinyModel model)
    {
        File.WriteAllText(Path.Combine(_root, "tokenizer.json"), "{}");
        PackageWriter.Write(Folder, new PackageContents
        {
            Config = model.Config,
            Weights = model.Source,
            WriteSafetensors = path => Safetensors.Write(path, Decoders.Parameters(model.Config).Select(p => Source(model, p.Name))),
            TokenizerFolder = _root,
        });
    }

    public string Folder => Path.Combine(_root, "package");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static SafetensorsSource Source(TinyModel model, string name)
    {
        TensorData data = model.Source(name);
        return SafetensorsSource.Of(name, data.Type, [.. Decoders.Parameters(model.Config).Single(p => p.Name == name).Shape], data.Bytes);
    }
}
