using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Models whose tensors lie in a file beside them, as those above 2 GB do.</summary>
public sealed class ExternalDataTests : IDisposable
{
    private const int Count = 4096;

    private readonly string _folder = Directory.CreateTempSubdirectory("onnxllm-external").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Open_DataBesideTheModel_IsRead()
    {
        string path = Write("model");
        Assert.True(new FileInfo(path + ".data").Length >= Count * sizeof(float));
        using var session = new OrtSession(path, new SessionSettings { Threads = 1 });
        using var x = TensorBuffer.Of(new float[Count], Count);
        using TensorBuffer y = session.Run(new Dictionary<string, TensorBuffer> { ["x"] = x })["y"];
        Assert.Equal(Values(), y.Span<float>());
    }

    /// <summary>The graph multiplies nothing, so nothing of it is packed or computed when it is loaded.</summary>
    [Fact]
    public void Run_AfterTheDataWasAltered_GivesWhatWasLoaded()
    {
        string path = Write("model");
        using var session = new OrtSession(path, new SessionSettings { Threads = 1 });
        using (FileStream data = File.OpenWrite(path + ".data")) data.Write(new byte[Count * sizeof(float)]);
        using var x = TensorBuffer.Of(new float[Count], Count);
        using TensorBuffer y = session.Run(new Dictionary<string, TensorBuffer> { ["x"] = x })["y"];
        Assert.Equal(Values(), y.Span<float>());
    }

    [Fact]
    public void Open_DataThatIsShort_IsRefused()
    {
        string path = Write("model");
        using (FileStream data = File.OpenWrite(path + ".data")) data.SetLength(Count);
        Assert.Throws<ModelRuntimeException>(() => new OrtSession(path, new SessionSettings { Threads = 1 }));
    }

    [Fact]
    public void Open_DataOutsideTheFolder_IsRefused()
    {
        string path = Write("model");
        File.Move(path + ".data", Path.Combine(_folder, "outside.data"));
        ModelProto model;
        using (FileStream file = File.OpenRead(path)) model = ModelProto.Parser.ParseFrom(file);
        model.Graph.Initializer[0].ExternalData.Single(entry => entry.Key == "location").Value = "../outside.data";
        File.WriteAllBytes(path, Google.Protobuf.MessageExtensions.ToByteArray(model));
        Assert.Throws<ModelRuntimeException>(() => new OrtSession(path, new SessionSettings { Threads = 1 }));
    }

    private static float[] Values() => [.. Enumerable.Range(0, Count).Select(i => (float)i)];

    private string Write(string name)
    {
        var g = new GraphBuilder();
        var x = g.Input("x", ElementType.Float, [Count]);
        g.Output("y", x + g.Constant(TensorData.Of<float>(ElementType.Float, [Count], Values())));
        string path = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, name)).FullName, "model.onnx");
        OnnxFile.Write(ModelProto.Parser.ParseFrom(OnnxFile.ToBytes(g.Build())), path, externalThreshold: 0);
        return path;
    }
}
