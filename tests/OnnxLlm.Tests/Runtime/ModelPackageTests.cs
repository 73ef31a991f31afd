using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

public sealed class ModelPackageTests : IDisposable
{
    private readonly TinyPackage _package = new(TinyModel.Named("llama-tiny"));

    public void Dispose() => _package.Dispose();

    [Fact]
    public void Open_WholePackage_DescribesTheModel()
    {
        ModelPackage package = ModelPackage.Open(_package.Folder);
        Assert.Equal(TinyModel.Named("llama-tiny").Config, package.Config);
        Assert.Equal("float32", package.Precision);
        Assert.Equal(64, package.ModelHash.Length);
        Assert.True(File.Exists(package.ModelPath));
    }

    [Theory]
    [InlineData("model.onnx")]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    public void Open_ChangedByte_NamesTheFile(string name)
    {
        string path = Path.Combine(_package.Folder, name);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains(name, Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MissingFile_NamesIt()
    {
        File.Delete(Path.Combine(_package.Folder, "model.onnx"));
        Assert.Contains("lacks model.onnx", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_ManifestWithoutTheModel_IsRefused()
    {
        string path = Path.Combine(_package.Folder, "manifest.json");
        string[] lines = [.. File.ReadLines(path).Where(line => !line.Contains("\"model.onnx\"", StringComparison.Ordinal))];
        File.WriteAllLines(path, lines);
        Assert.Contains("does not list model.onnx", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_ManifestThatLeavesTheFolder_IsRefused()
    {
        string path = Path.Combine(_package.Folder, "manifest.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"model.onnx\"", "\"../model.onnx\"", StringComparison.Ordinal));
        Assert.Contains("not a file of the folder", Refusal(), StringComparison.Ordinal);
    }

    /// <summary>As with models above 2 GB.</summary>
    [Fact]
    public void ModelHash_WhereTheWeightsLieApart_CoversThem()
    {
        string path = ModelPackage.Open(_package.Folder).ModelPath, data = path + ".data";
        OnnxFile.Write(OnnxFile.Read(path), path, externalThreshold: 0);
        Assert.Contains("does not list model.onnx.data", Unlisted(), StringComparison.Ordinal);
        string before = Sealed().ModelHash;
        byte[] bytes = File.ReadAllBytes(data);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(data, bytes);
        Assert.Contains("model.onnx.data", Refusal(), StringComparison.Ordinal);
        Assert.NotEqual(before, Sealed().ModelHash);

        string Unlisted()
        {
            string manifest = Path.Combine(_package.Folder, "manifest.json");
            Sealed();
            File.WriteAllLines(manifest, [.. File.ReadLines(manifest).Where(line => !line.Contains("\"model.onnx.data\"", StringComparison.Ordinal))]);
            return Refusal();
        }

        ModelPackage Sealed()
        {
            PackageManifest.Read(_package.Folder).Seal(_package.Folder);
            return ModelPackage.Open(_package.Folder);
        }
    }

    [Fact]
    public void Open_NoFolder_SaysSo() => Assert.Contains(
        "no folder", Assert.Throws<ModelRuntimeException>(() => ModelPackage.Open(_package.Folder + "-none")).Message, StringComparison.Ordinal);

    private string Refusal() => Assert.Throws<ModelRuntimeException>(() => ModelPackage.Open(_package.Folder)).Message;
}
