using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class OrtSessionTests
{
    private static readonly OneNode Add = new("Add", "")
    {
        Inputs = [("a", ElementType.Float), ("b", ElementType.Float)],
        Outputs = [("c", ElementType.Float)],
    };

    private static OrtSession Open(OneNode node) => new(node.Model(), new SessionSettings { Threads = 1 });

    [Fact]
    public void Run_Feeds_ReturnsOutputs()
    {
        using OrtSession session = Open(Add);
        using var a = TensorBuffer.Of([1f, 2, 3], 3);
        using var b = TensorBuffer.Of([10f, 20, 30], 3);
        using TensorBuffer c = session.Run(new Dictionary<string, TensorBuffer> { ["a"] = a, ["b"] = b })["c"];
        Assert.Equal<long>([3], c.Shape);
        Assert.Equal([11f, 22, 33], c.Span<float>());
    }

    [Fact]
    public void Run_Scalars_HaveEmptyShape()
    {
        using OrtSession session = Open(Add);
        using var a = TensorBuffer.Of([1f]);
        using TensorBuffer c = session.Run(new Dictionary<string, TensorBuffer> { ["a"] = a, ["b"] = a })["c"];
        Assert.Empty(c.Shape);
        Assert.Equal(2f, c.Span<float>()[0]);
    }

    [Fact]
    public void Bind_SameBufferInAndOut_UpdatesInPlace()
    {
        using OrtSession session = Open(Add);
        using var state = TensorBuffer.Of([1f, 2], 2);
        using var step = TensorBuffer.Of([10f, 100], 2);
        using BoundSession bound = session.Bind().Input("a", state).Input("b", step).Output("c", state);
        bound.Run();
        bound.Run();
        Assert.Equal([21f, 202], state.Span<float>());
    }

    [Fact]
    public void Run_Bound_AllocatesNoManagedMemory()
    {
        using OrtSession session = Open(Add);
        using var state = TensorBuffer.Of([1f, 2], 2);
        using BoundSession bound = session.Bind().Input("a", state).Input("b", state).Output("c", state);
        bound.Run();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++) bound.Run();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Input_UnknownName_ListsTheModelsNames()
    {
        using OrtSession session = Open(Add);
        using var buffer = TensorBuffer.Of([1f], 1);
        using BoundSession bound = session.Bind();
        var error = Assert.Throws<ModelRuntimeException>(() => bound.Input("x", buffer));
        Assert.Contains("no input x; it has a, b", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Input_WrongType_Throws()
    {
        using OrtSession session = Open(Add);
        using var buffer = TensorBuffer.Of([1.0], 1);
        using BoundSession bound = session.Bind();
        Assert.Throws<ModelRuntimeException>(() => bound.Input("a", buffer));
    }

    [Fact]
    public void Run_MissingInput_GivesTheRuntimesMessage()
    {
        using OrtSession session = Open(Add);
        using var buffer = TensorBuffer.Of([1f], 1);
        using BoundSession bound = session.Bind().Input("a", buffer).Output("c", buffer);
        Assert.Contains("b", Assert.Throws<ModelRuntimeException>(bound.Run).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_ShapesThatDoNotBroadcast_GivesTheRuntimesMessage()
    {
        using OrtSession session = Open(Add);
        using var a = TensorBuffer.Of([1f, 2], 2);
        using var b = TensorBuffer.Of([1f, 2, 3], 3);
        var feeds = new Dictionary<string, TensorBuffer> { ["a"] = a, ["b"] = b };
        Assert.Contains("Add", Assert.Throws<ModelRuntimeException>(() => session.Run(feeds)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_DisposedBuffer_Throws()
    {
        using OrtSession session = Open(Add);
        var state = TensorBuffer.Of([1f], 1);
        using BoundSession bound = session.Bind().Input("a", state).Input("b", state).Output("c", state);
        state.Dispose();
        Assert.Throws<ObjectDisposedException>(bound.Run);
    }

    [Fact]
    public void Open_Garbage_Throws() =>
        Assert.Throws<ModelRuntimeException>(() => new OrtSession([1, 2, 3], new SessionSettings()));

    [Fact]
    public void Open_MissingFile_NamesIt()
    {
        string path = Path.Combine(Path.GetTempPath(), "onnxllm-no-such-model.onnx");
        var error = Assert.Throws<ModelRuntimeException>(() => new OrtSession(path, new SessionSettings()));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EndProfiling_WithPrefix_WritesAFile()
    {
        string prefix = Path.Combine(Path.GetTempPath(), "onnxllm-profile-" + Guid.NewGuid().ToString("N"));
        using var session = new OrtSession(Add.Model(), new SessionSettings { ProfilePrefix = prefix });
        string path = session.EndProfiling();
        Assert.True(File.Exists(path));
        File.Delete(path);
    }
}
