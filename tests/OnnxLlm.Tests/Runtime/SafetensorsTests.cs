using System.Buffers.Binary;
using System.Text;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("onnxllm-safetensors").FullName;

    private string FilePath => Path.Combine(_folder, "model.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Write_ThenOpen_GivesEqualBitsShapesAndMetadata()
    {
        using var weights = TensorBuffer.Of([1f, -0f, float.NaN, float.Epsilon, 5, 6], 2, 3);
        using var steps = TensorBuffer.Of([long.MaxValue], []);
        using var nothing = TensorBuffer.Zeros(ElementType.Double, 0, 4);
        Safetensors.Write(
            FilePath,
            [SafetensorsSource.Of("b.weight", weights), SafetensorsSource.Of("step", steps), SafetensorsSource.Of("nothing", nothing), Bytes("é\"mask", 3)],
            new Dictionary<string, string> { ["format"] = "pt", ["step"] = "7" });

        using SafetensorsFile file = Safetensors.Open(FilePath);
        Assert.Equal(["nothing", "step", "b.weight", "é\"mask"], file.Entries.Select(entry => entry.Name));
        Assert.Equal("7", file.Metadata["step"]);
        Assert.Equal<long>([2, 3], file["b.weight"].Shape);
        Assert.Equal(weights.RawBytes().ToArray(), file.Bytes("b.weight").ToArray());
        Assert.Equal([long.MaxValue], file.Span<long>("step").ToArray());
        Assert.Equal([0, 1, 2], file.Bytes("é\"mask").ToArray());
        using var copy = TensorBuffer.Zeros(ElementType.Float, 2, 3);
        file.Read("b.weight", copy);
        Assert.Equal(weights.RawBytes().ToArray(), copy.RawBytes());
    }

    [Fact]
    public void Write_AnyOrder_GivesTheSameBytes()
    {
        Safetensors.Write(FilePath, [Bytes("a", 1), Bytes("b", 2)]);
        byte[] first = File.ReadAllBytes(FilePath);
        Safetensors.Write(FilePath, [Bytes("b", 2), Bytes("a", 1)]);
        Assert.Equal(first, File.ReadAllBytes(FilePath));
        Assert.Equal(0, BinaryPrimitives.ReadInt64LittleEndian(first) % 8);
    }

    [Fact]
    public void Write_ThatFails_KeepsTheOldFileAndNothingElse()
    {
        Safetensors.Write(FilePath, [Bytes("a", 4)]);
        byte[] before = File.ReadAllBytes(FilePath);
        var full = new SafetensorsSource("b", ElementType.UInt8, [4], _ => throw new IOException("No space left on device"));
        var error = Assert.Throws<ModelRuntimeException>(() => Safetensors.Write(FilePath, [full]));
        Assert.Contains("No space left", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(FilePath));
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void Write_SourceShorterThanItsShape_Throws() => Assert.Throws<ModelRuntimeException>(() =>
        Safetensors.Write(FilePath, [SafetensorsSource.Of("a", ElementType.Float, [2], new byte[4])]));

    [Fact]
    public void Open_EveryTruncation_IsRefused()
    {
        Safetensors.Write(FilePath, [Bytes("a", 5), SafetensorsSource.Of("b", ElementType.Float, [2], new byte[8])]);
        byte[] whole = File.ReadAllBytes(FilePath);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(FilePath, whole[..length]);
            var error = Assert.Throws<ModelRuntimeException>(() => Safetensors.Open(FilePath));
            Assert.Contains("truncated", error.Message, StringComparison.Ordinal);
            Assert.Contains(FilePath, error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "needs 8 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6, "inside")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12, "not at the end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "1 bytes after")]
    [InlineData("""{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}""", 4, "'F31'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "negative")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "corrupt")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", 4, "corrupt")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "1 data_offsets")]
    [InlineData("""{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "corrupt")]
    [InlineData("""["a"]""", 0, "corrupt")]
    [InlineData("""{"a":""", 0, "corrupt")]
    public void Open_CorruptHeader_SaysWhy(string header, int dataLength, string reason)
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, Encoding.UTF8.GetByteCount(header));
        File.WriteAllBytes(FilePath, [.. length, .. Encoding.UTF8.GetBytes(header), .. new byte[dataLength]]);
        Assert.Contains(reason, Assert.Throws<ModelRuntimeException>(() => Safetensors.Open(FilePath)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_AnotherFormat_IsRefused()
    {
        File.WriteAllText(FilePath, "this is text, not tensors");
        Assert.Contains("not a safetensors file", Assert.Throws<ModelRuntimeException>(() => Safetensors.Open(FilePath)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_IntoAnotherShape_NamesBoth()
    {
        Safetensors.Write(FilePath, [SafetensorsSource.Of("w", ElementType.Float, [2], new byte[8])]);
        using SafetensorsFile file = Safetensors.Open(FilePath);
        using var target = TensorBuffer.Zeros(ElementType.Float, 3);
        Assert.Contains("Float[2], expected Float[3]", Assert.Throws<ModelRuntimeException>(() => file.Read("w", target)).Message, StringComparison.Ordinal);
    }

    private static SafetensorsSource Bytes(string name, int count) =>
        SafetensorsSource.Of(name, ElementType.UInt8, [count], Enumerable.Range(0, count).Select(i => (byte)i).ToArray());
}
