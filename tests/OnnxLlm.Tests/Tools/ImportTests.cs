using System.Runtime.InteropServices;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Text;
using OnnxLlm.Tools;
using OnnxLlm.Tools.Import;

namespace OnnxLlm.Tests.Tools;

/// <summary>Imports of a tiny file in llama2.c's format; the real one is in <see cref="Stories15mTests"/>.</summary>
public sealed class ImportTests : IDisposable
{
    private const int Width = 8, FeedForward = 12, Layers = 2, Heads = 2, Vocabulary = 260, Positions = 16;

    private const int Weights = Vocabulary * Width + Layers * (2 * Width + 4 * Width * Width + 3 * FeedForward * Width) + Width + Positions * Width / Heads;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Import_WholeFile_IsAPackageThatOpens()
    {
        Assert.Equal((0, "package: llama, 3,208 parameters"), Run(Bytes()));
        var package = ModelPackage.Open(_folder.File("package"));
        Assert.Equal((ModelFamily.Llama, true, 1, 1), (package.Config.Family, package.Config.TiedEmbeddings, package.Config.BosTokenId, package.Config.EosTokenId));
        Assert.Equal((0, "up to date: package: llama, 3,208 parameters"), Run(Bytes()));
    }

    [Fact]
    public void Import_QueryRows_AreMovedHalfAHeadApart()
    {
        string path = _folder.File("model.bin");
        File.WriteAllBytes(path, Bytes());
        var file = Llama2cFile.Read(path);
        float[] first = Column("q_proj"), plain = Column("v_proj");
        Assert.Equal([0, 2, 1, 3, 4, 6, 5, 7], first.Select(v => (int)((v - first[0]) / Width)));      // heads of 4: rows 0, 2 then 1, 3
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7], plain.Select(v => (int)((v - plain[0]) / Width)));

        float[] Column(string name) => [.. file.Weight($"model.layers.0.self_attn.{name}.weight").As<float>().ToArray().Chunk(Width).Select(row => row[0])];
    }

    [Theory]
    [InlineData(10, "is too short for a llama2.c model.")]
    [InlineData(1000, "is too short for its header: a llama2.c model of this size has ")]
    [InlineData(28 + Weights * 4 + 100, "The file ends after ")]
    public void Import_CutFile_IsOneClearLine(int length, string expected)
    {
        var (code, error) = Run(Bytes()[..length]);
        Assert.Equal(ToolsProgram.UserError, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error);
    }

    [Fact]
    public void Import_MissingFile_IsOneClearLine()
    {
        using StringWriter output = new(), error = new();
        Assert.Equal(ToolsProgram.UserError, ToolsProgram.Run(["import", "--source", _folder.File("nothing"), "--out", _folder.File("x")], output, error));
        Assert.Contains("There is no file", error.ToString(), StringComparison.Ordinal);
    }

    private (int Code, string Said) Run(byte[] file)
    {
        string path = _folder.File("model.bin");
        File.WriteAllBytes(path, file);
        using StringWriter output = new(), error = new();
        int code = ToolsProgram.Run(["import", "--source", path, "--out", _folder.File("package")], output, error);
        return (code, (output.ToString() + error).Trim().Replace(_folder.Path + Path.DirectorySeparatorChar, "", StringComparison.Ordinal));
    }

    /// <summary>Header, weights that count up, and the tokenizer: 259 tokens that the reader knows, and the letter a.</summary>
    private static byte[] Bytes()
    {
        using var file = new MemoryStream();
        file.Write(MemoryMarshal.AsBytes<int>([Width, FeedForward, Layers, Heads, Heads, Vocabulary, Positions]));
        file.Write(MemoryMarshal.AsBytes<float>([.. Enumerable.Range(0, Weights).Select(i => (float)i)]));
        file.Write(MemoryMarshal.AsBytes<int>([1]));
        for (int i = 0; i < Vocabulary; i++)
        {
            file.Write(MemoryMarshal.AsBytes<float>([0f]));
            file.Write(MemoryMarshal.AsBytes<int>([1]));
            file.WriteByte((byte)'a');
        }
        return file.ToArray();
    }
}
