using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Text;

namespace OnnxLlm.Tests.Runtime;

/// <summary>A model package in a folder that ends with the test.</summary>
internal sealed class TinyPackage : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("onnxllm-package").FullName;

    /// <param name="model">What the package holds.</param>
    /// <param name="tokenizer">Its tokenizer; null for a file that no test reads.</param>
    public TinyPackage(TinyModel model, Tokenizer? tokenizer = null)
    {
        if (tokenizer is null) File.WriteAllText(Path.Combine(_root, "tokenizer.json"), "{}");
        tokenizer?.Save(_root);
        PackageWriter.Write(Folder, new PackageContents
        {
            Config = model.Config,
            Weights = model.Source,
            WriteSafetensors = path => Safetensors.Write(path, ModelParameters.Of(model.Config).Select(p => Source(model, p.Name))),
            TokenizerFolder = _root,
        });
    }

    public string Folder => Path.Combine(_root, "package");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static SafetensorsSource Source(TinyModel model, string name)
    {
        TensorData data = model.Source(name);
        return SafetensorsSource.Of(name, data.Type, [.. ModelParameters.Of(model.Config).Single(p => p.Name == name).Shape], data.Bytes);
    }
}
