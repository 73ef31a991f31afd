using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tests.Graphs;

/// <summary>The walk: order, accumulation, un-broadcasting, and what it says when it cannot go on.</summary>
public sealed class BackwardTests
{
    public static TheoryData<string> SharedValues => [.. Shared.Select(c => c.Form)];

    private static IEnumerable<GradientCase> Shared =>
    [
        new("Mul", "one value as both operands", [[2, 3]], (g, x) => x[0] * x[0]),
        new("Add", "used three times at different depths", [[2, 3]], (g, x) => g.Exp(x[0]) * x[0] + x[0]),
        new("Tanh", "diamond", [[2, 3], [3, 3]], (g, x) => Diamond(g, g.MatMul(x[0], x[1]))),
        new("Add", "broadcast in two ways", [[3], [2, 3]], (g, x) => x[0] * x[1] + g.Unsqueeze(x[0], 0) + x[1] * g.ReduceSum(x[0], true)),
        new("Sigmoid", "a branch without influence", [[2, 3]], (g, x) => g.Where(g.Less(g.Scalar(5, x[0]), x[0]), g.Exp(x[0]), g.Sigmoid(x[0]))),
        new("RmsNorm", "a layer with a residual", [["B", "T", 4], [4], [4, 6], [4, 6], [6, 4]], Layer),
    ];

    [Theory]
    [MemberData(nameof(SharedValues))]
    public void Gradients_OfSharedValues_AgreeWithFiniteDifference(string form)
    {
        Measurement measured = FiniteDifference.Measure(Shared.Single(c => c.Form == form));
        Assert.True(measured.Passed, $"error {measured.Error:E1}, tolerance {measured.Tolerance:E1}");
    }

    [Fact]
    public void Gradients_TiedEmbedding_ScatterIntoTheDenseGradient()
    {
        var (_, loss, parameters) = TinyModel();
        var gradient = Backward.Gradients(loss, parameters)[0];
        Assert.Equal("ScatterAddRows", gradient.Producer!.Op);
        Assert.Equal("Gemm", gradient.Producer[0].Producer!.Op);
        Assert.Equal(parameters[0].Shape, gradient.Shape);
    }

    [Fact]
    public void Gradients_BiasOfGemm_IsARowOfOnesProduct()
    {
        var g = new GraphBuilder();
        var (x, w, b) = (g.Input("x", ElementType.Float, [8, 3]), g.Parameter("w", [3, 4]), g.Parameter("b", [4]));
        Backward.Gradients(g.SquaredNorm(g.Gemm(x, w, b)), [w, b]);
        Assert.DoesNotContain(g.Nodes, n => n.Op is "ReduceSum" or "Transpose");
    }

    [Fact]
    public void Gradients_SameGraphTwice_SameBytes() => Assert.Equal(TinyModelBytes(), TinyModelBytes());

    [Fact]
    public void Gradients_NodesOfAModule_AreNamedAfterIt()
    {
        var (g, loss, parameters) = TinyModel();
        Backward.Gradients(loss, parameters);
        Assert.Contains(g.Nodes, n => n.Scope == "gradient/layer" && n.Op == "RmsNormGrad");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gradients_WholeModel_LoadsAndRuns(bool kernels)
    {
        using var session = new OrtSession(TinyModelBytes(), new SessionSettings { Threads = 1, Kernels = kernels });
        var feeds = session.Inputs.ToDictionary(i => i.Name, i => TensorBuffer.Zeros(i.Type, [.. i.Shape.Select(d => d < 0 ? i.Name == "labels" ? 4 : 2 : d)]));
        var outputs = session.Run(feeds);
        Assert.All(session.Outputs, o => Assert.All(outputs[o.Name].Span<float>().ToArray(), v => Assert.True(float.IsFinite(v))));
        foreach (var buffer in feeds.Values.Concat(outputs.Values)) buffer.Dispose();
    }

    [Fact]
    public void Gradients_UnsupportedOperator_SaysWhereWhatAndWhatInstead()
    {
        var g = new GraphBuilder();
        var (a, b) = (g.Parameter("a", [2, 3]), g.Parameter("b", [3, 4]));
        Value y;
        using (g.Scope("model.layers.0"))
        using (g.Scope("self_attn"))
            y = g.Emit("Einsum", [a, b], a.Type, [2, 4], ("equation", "ij,jk->ik"));
        Fails(
            g.ReduceSum(y, false),
            [a],
            "Operator Einsum has no gradient rule: node 'model.layers.0/self_attn/Einsum', domain ai.onnx, opset 21, "
            + "inputs Float[2, 3], Float[3, 4]. Nearest supported form: MatMul with Transpose.");
    }

    [Fact]
    public void Gradients_UnknownOperator_SuggestsTheNearestName()
    {
        var g = new GraphBuilder();
        var a = g.Parameter("a", ["batch", 3]);
        Value y = g.EmitMicrosoft("LogSoftMax", [g.EmitMicrosoft("LogSoftMax", [a], a.Type, a.Shape)], a.Type, a.Shape);
        Fails(
            g.ReduceSum(y, false),
            [a],
            "Operator LogSoftMax has no gradient rule: node 'LogSoftMax_1', domain com.microsoft, opset 1, "
            + "inputs Float[batch, 3]. Nearest supported form: LogSoftmax.");
    }

    [Fact]
    public void Gradients_UnsupportedForm_SaysWhichIsSupported()
    {
        var g = new GraphBuilder();
        var a = g.Parameter("a", [4, 6]);
        Value y = g.Emit("Slice", [a, g.Int64s(0, 0), g.Int64s(4, 6), g.Int64s(0, 1), g.Int64s(2, 2)], a.Type, [2, 3]);
        Fails(
            g.ReduceSum(y, false),
            [a],
            "Operator Slice has no gradient rule in this form: node 'Slice', domain ai.onnx, opset 21, inputs Float[4, 6], Int64[2], Int64[2], "
            + "Int64[2], Int64[2]. Nearest supported form: Slice with one axis, step 1.");
    }

    [Fact]
    public void Gradients_UnsupportedOperatorOffThePath_DoesNotMatter()
    {
        var g = new GraphBuilder();
        var (x, a) = (g.Input("x", ElementType.Float, [3]), g.Parameter("a", [3]));
        Value loss = g.ReduceSum(g.Emit("Floor", [x], x.Type, x.Shape) * a, false);
        Assert.Equal([3], Backward.Gradients(loss, [a])[0].Shape.ToArray());
    }

    [Fact]
    public void Gradients_ParameterWithoutInfluence_Named()
    {
        var g = new GraphBuilder();
        var (a, b) = (g.Parameter("a", [3]), g.Parameter("b", [3]));
        Fails(g.SquaredNorm(a), [a, b], "The loss does not depend on parameter b: Float[3].");
    }

    [Fact]
    public void Gradients_ParameterBehindAStop_NamesTheStop()
    {
        var g = new GraphBuilder();
        var (a, b) = (g.Parameter("a", [3]), g.Parameter("b", [3]));
        Value loss = g.SquaredNorm(a * g.Cast(g.Less(b, a), ElementType.Float));
        Fails(loss, [a, b], "The loss does not depend on parameter b: Float[3] in a differentiable way: Less(Float[3], Float[3]) stops the gradient.");
    }

    [Fact]
    public void Gradients_ThroughAnOptimizerUpdate_Stopped()
    {
        var g = new GraphBuilder();
        var a = g.Parameter("a", [3]);
        Value updated = g.Sgd(a, a, g.Scalar(0.1, a), g.Scalar(1, a));
        Fails(
            g.SquaredNorm(updated), [a],
            "The loss does not depend on parameter a: Float[3] in a differentiable way: onnxllm.Sgd(Float[3], Float[3], Float[], Float[]) stops the gradient.");
    }

    [Fact]
    public void Gradients_AuxiliaryOutputUsed_Refused()
    {
        var g = new GraphBuilder();
        var (x, w) = (g.Parameter("x", [2, 3]), g.Parameter("w", [3]));
        Value y = g.RmsNorm(x, w, 1e-5f);
        Fails(
            g.SquaredNorm(y.Producer!.Outputs[1]), [x],
            "The loss depends on output 'rstd' of onnxllm.RmsNorm(Float[2, 3], Float[3]), which has no gradient: only the first output has.");
    }

    [Fact]
    public void Gradients_InputWithoutARule_Refused()
    {
        var g = new GraphBuilder();
        var (x, angle) = (g.Parameter("x", [1, 2, 4]), g.Parameter("angle", [2, 2]));
        Value loss = g.SquaredNorm(g.RotaryEmbedding(x, g.Cos(angle), g.Sin(angle), 1));
        Fails(
            loss, [angle],
            "The loss depends on input 1 (Cos: Float[2, 2]) of onnxllm.RotaryEmbedding(Float[1, 2, 4], Float[2, 2], Float[2, 2]), for which its rule gives no gradient.");
    }

    [Fact]
    public void Gradients_LossNotAScalar_Refused()
    {
        var g = new GraphBuilder();
        var a = g.Parameter("a", [3]);
        Fails(g.Exp(a), [a], "A loss is a single float, got Exp: Float[3].");
    }

    [Fact]
    public void SumLike_ShapeThatDoesNotBroadcast_Refused()
    {
        var g = new GraphBuilder();
        var (dx, x) = (g.Input("dx", ElementType.Float, ["B", 3]), g.Input("x", ElementType.Float, ["T", 3]));
        Assert.Equal("A gradient of shape [B, 3] cannot be summed to [T, 3].", Assert.Throws<GraphException>(() => g.SumLike(dx, x)).Message);
    }

    private static void Fails(Value loss, Value[] parameters, string message) =>
        Assert.Equal(message, Assert.Throws<GraphException>(() => Backward.Gradients(loss, parameters)).Message);

    private static Value Diamond(GraphBuilder g, Value h) => g.Tanh(h) * g.Sigmoid(h) + h;

    private static Value Layer(GraphBuilder g, Value[] p)
    {
        Value h = g.RmsNorm(p[0], p[1], 1e-1f);
        return p[0] + g.MatMul(g.SwiGlu(g.MatMul(h, p[2]), g.MatMul(h, p[3])), p[4]);
    }

    private static byte[] TinyModelBytes()
    {
        var (g, loss, parameters) = TinyModel();
        g.Output("loss", loss);
        foreach (var (parameter, gradient) in parameters.Zip(Backward.Gradients(loss, parameters)))
            g.Output($"{parameter.Name}_grad", gradient);
        return OnnxFile.ToBytes(g.Build());
    }

    /// <summary>Embedding tied to the output, one layer with attention, a loss; batch and time are symbols.</summary>
    private static (GraphBuilder Graph, Value Loss, Value[] Parameters) TinyModel()
    {
        var g = new GraphBuilder("tiny");
        var (ids, labels) = (g.Input("input_ids", ElementType.Int64, ["B", "T"]), g.Input("labels", ElementType.Int64, ["B*T"]));
        Value[] p =
        [
            g.Parameter("embedding", [11, 8]), g.Parameter("norm", [8]), g.Parameter("gate", [8, 6]), g.Parameter("up", [8, 6]), g.Parameter("down", [6, 8]),
            g.Parameter("query", [8, 8]), g.Parameter("key", [8, 4]),
        ];
        Value x = g.Gather(p[0], ids);
        using (g.Scope("layer"))
        {
            Value key = g.MatMul(x, p[6]);
            x = Layer(g, [x + g.CausalAttention(g.MatMul(x, p[5]), key, key, 4, 2), .. p[1..5]]);
        }
        Value logits = g.Gemm(g.Flatten(x, -1), p[0], transposeB: true);
        return (g, g.SoftmaxCrossEntropy(logits, labels, g.Input("scale", ElementType.Float, [])), p);
    }
}
