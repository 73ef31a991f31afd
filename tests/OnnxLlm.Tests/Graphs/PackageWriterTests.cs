using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;
using OnnxLlm.Tests.Text;

namespace OnnxLlm.Tests.Graphs;

public sealed class PackageWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TinyModel _model = TinyModel.Named("llama-tiny");

    private string Package => _folder.File("package");

    [Fact]
    public void Package_HoldsEveryFile_AndVerifies()
    {
        var written = Write(step: 7);
        var read = PackageManifest.Verify(Package);

        string[] expected = ["config.json", "genai_config.json", "generation_config.json", "model.onnx", "model.safetensors", "tokenizer.json"];
        Assert.Equal(expected, read.Files.Keys);
        Assert.Equal(written.Files, read.Files);
        Assert.Equal(new PackageSource("run", 7), read.Source);
        Assert.Equal(("llama", "float32", ModelParameters.Count(_model.Config)), (read.ModelType, read.Precision, read.ParameterCount));
        Assert.Equal(_model.Config, ModelConfig.Load(Path.Combine(Package, "config.json")));
        Assert.Equal(["package", "tokenizer.json"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Package_WrittenTwice_IsTheSameBytes()
    {
        var first = Write(step: 7);
        Assert.Equal(first.Files, Write(step: 7).Files);
    }

    [Theory]
    [MemberData(nameof(TinyModel.Names), MemberType = typeof(TinyModel))]
    public void GenAiConfig_NamesAndSizes_AreThoseOfTheGraph(string name)
    {
        var model = TinyModel.Named(name);
        var json = GenAiConfig.Of(model.Config)["model"]!;
        var (decoder, graph) = (json["decoder"]!, GenerationRun.Export(model).Graph);

        var inputs = Names(decoder["inputs"]!.AsObject(), model.Config.Layers);
        Assert.Equal(graph.Input.Select(i => i.Name).Where(name => name != GenerationGraph.LogitsAt).Order(), inputs.Order());
        Assert.Equal(graph.Output.Select(o => o.Name).Where(name => name != GenerationGraph.HiddenStates).Order(), Names(decoder["outputs"]!.AsObject(), model.Config.Layers).Order());

        var cache = graph.Input.Single(i => i.Name == "past_key_values.0.key").Type.TensorType.Shape.Dim;
        Assert.Equal(cache[1].DimValue, (int)decoder["num_key_value_heads"]!);
        Assert.Equal(cache[3].DimValue, (int)decoder["head_size"]!);
        Assert.Equal(graph.Output[0].Type.TensorType.Shape.Dim[2].DimValue, (int)json["vocab_size"]!);
        Assert.Equal("model.onnx", (string?)decoder["filename"]);

        static IEnumerable<string> Names(JsonObject names, int layers) => names.SelectMany(n => (string)n.Value! is var text && text.Contains("%d", StringComparison.Ordinal)
            ? Enumerable.Range(0, layers).Select(l => text.Replace("%d", $"{l}", StringComparison.Ordinal))
            : [text]);
    }

    [Fact]
    public void ChangedFile_IsRefused_ByName()
    {
        Write(step: 1);
        byte[] bytes = File.ReadAllBytes(Path.Combine(Package, "model.onnx"));
        bytes[^1] ^= 1;
        File.WriteAllBytes(Path.Combine(Package, "model.onnx"), bytes);
        Assert.Contains("model.onnx is not the file", Refusal(() => PackageManifest.Verify(Package)), StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFile_IsRefused_ByName()
    {
        Write(step: 1);
        File.Delete(Path.Combine(Package, "tokenizer.json"));
        Assert.Contains("lacks tokenizer.json", Refusal(() => PackageManifest.Verify(Package)), StringComparison.Ordinal);
    }

    [Fact]
    public void FileOutsideTheFolder_IsRefused()
    {
        Write(step: 1);
        string path = Path.Combine(Package, "manifest.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"tokenizer.json\"", "\"../tokenizer.json\"", StringComparison.Ordinal));
        Assert.Contains("'../tokenizer.json', which is not a file of the folder", Refusal(() => PackageManifest.Verify(Package)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "damaged")]
    [InlineData("not json", "damaged")]
    [InlineData("{\"format\":2,\"model_type\":\"llama\",\"parameter_count\":1}", "format 2")]
    public void BadManifest_IsRefused(string content, string reason)
    {
        Directory.CreateDirectory(Package);
        File.WriteAllText(Path.Combine(Package, "manifest.json"), content);
        Assert.Contains(reason, Refusal(() => PackageManifest.Read(Package)), StringComparison.Ordinal);
    }

    [Fact]
    public void FolderOfSomethingElse_IsNotOverwritten()
    {
        _folder.Write("package/thesis.txt", "two years of work");
        Assert.Contains("not a model package", Refusal(() => Write(step: 1)), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Package, "thesis.txt")));
    }

    [Fact]
    public void FailedWrite_LeavesTheOldPackage()
    {
        Write(step: 1);
        Assert.Throws<IOException>(() => PackageWriter.Replace(Package, _ => throw new IOException("disk full")));
        Assert.Equal(1, PackageManifest.Verify(Package).Source!.Step);
        Assert.Equal([Package], Directory.GetDirectories(Path.GetDirectoryName(Package)!, Path.GetFileName(Package) + "*"));
    }

    public void Dispose() => _folder.Dispose();

    private PackageManifest Write(long step)
    {
        _folder.Write("tokenizer.json", "{}");
        return PackageWriter.Write(Package, new PackageContents
        {
            Config = _model.Config,
            Weights = _model.Source,
            WriteSafetensors = path => Safetensors.Write(path, ModelParameters.Of(_model.Config).Select(p => SafetensorsSource.Of(p.Name, ElementType.Float, p.Shape, _model.Source(p.Name).Bytes))),
            TokenizerFolder = _folder.Path,
            Source = new PackageSource("run", step),
        });
    }

    private static string Refusal(Action action) => Assert.Throws<GraphException>(action).Message;
}
