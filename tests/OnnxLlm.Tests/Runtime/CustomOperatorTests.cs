using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

public sealed class CustomOperatorTests
{
    /// <summary>Accumulate with a body that computes something else, so that it shows who ran.</summary>
    private static readonly OneNode Planted = KernelHarness.Node("Accumulate") with { Body = Body() };

    [Theory]
    [InlineData(true, 3f)]
    [InlineData(false, -1f)]
    public void Run_FunctionWithKernel_TakesTheKernelOnlyWhereRegistered(bool kernels, float expected)
    {
        using var session = new OrtSession(Planted.Model(), new SessionSettings { Kernels = kernels });
        Assert.Equal(expected, RunOnce(session, TensorBuffer.Of([1f], 1), TensorBuffer.Of([2f], 1)));
    }

    [Fact]
    public void Run_ShapesThatDoNotFit_NamesKernelAndShapes()
    {
        using var session = new OrtSession(Planted.Model(), new SessionSettings());
        var error = Assert.Throws<ModelRuntimeException>(() => RunOnce(session, TensorBuffer.Of([1f], 1), TensorBuffer.Of([2f, 3], 2)));
        Assert.Contains("Accumulate: input 1 must have the shape [1], it has [2]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MissingAttribute_NamesIt()
    {
        var node = KernelHarness.Node("AdamW", ("beta1", 0.9f), ("beta2", 0.99f), ("epsilon", 1e-8f));
        var error = Assert.Throws<ModelRuntimeException>(() => new OrtSession(node.Model(), new SessionSettings()));
        Assert.Contains("weight_decay", error.Message, StringComparison.Ordinal);
    }

    /// <summary>The runtime does not fall back to the body for types that the kernel lacks, so double graphs are opened without kernels.</summary>
    [Fact]
    public void Open_DoubleGraph_NeedsKernelsOff()
    {
        var node = Planted with { Inputs = [("in0", ElementType.Double), ("in1", ElementType.Double), ("in2", ElementType.Bool)], Outputs = [("out0", ElementType.Double)] };
        Assert.Throws<ModelRuntimeException>(() => new OrtSession(node.Model(), new SessionSettings()));
        using var session = new OrtSession(node.Model(), new SessionSettings { Kernels = false });
        using TensorBuffer a = TensorBuffer.Of([1.0], 1), b = TensorBuffer.Of([2.0], 1), reset = TensorBuffer.Of([false], 1);
        using TensorBuffer result = session.Run(new Dictionary<string, TensorBuffer> { ["in0"] = a, ["in1"] = b, ["in2"] = reset })["out0"];
        Assert.Equal(-1, result.Span<double>()[0]);
    }

    [Fact]
    public void Names_OfAllKernels_AreUnique() => Assert.Equal(KernelList.All.Length, KernelList.Names.Distinct().Count());

    private static float RunOnce(OrtSession session, TensorBuffer buffer, TensorBuffer gradient)
    {
        using var reset = TensorBuffer.Of([false], 1);
        using (buffer)
        using (gradient)
        using (TensorBuffer result = session.Run(new Dictionary<string, TensorBuffer> { ["in0"] = buffer, ["in1"] = gradient, ["in2"] = reset })["out0"])
            return result.Span<float>()[0];
    }

    private static FunctionProto Body()
    {
        var body = new FunctionProto { Name = "Accumulate", Domain = "onnxllm" };
        body.Input.Add(["a", "b", "c"]);
        body.Output.Add("d");
        body.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 21 });
        var node = new NodeProto { OpType = "Sub" };
        node.Input.Add(["a", "b"]);
        node.Output.Add("d");
        body.Node.Add(node);
        return body;
    }
}
