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

    [Fact]
    public void Open_NoFolder_SaysSo() => Assert.Contains(
        "no folder", Assert.Throws<ModelRuntimeException>(() => ModelPackage.Open(_package.Folder + "-none")).Message, StringComparison.Ordinal);

    private string Refusal() => Assert.Throws<ModelRuntimeException>(() => ModelPackage.Open(_package.Folder)).Message;
}
