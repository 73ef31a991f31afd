using OnnxLlm.Graphs.Functions;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Kernels;

namespace OnnxLlm.Tests.Runtime;

public sealed class KernelTests
{
    public static TheoryData<string> Names => [.. KernelCase.All.Keys];

    public static TheoryData<string, string> NamesAndWidths
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (string name in KernelCase.All.Keys)
                foreach (string width in KernelHarness.WidthNames)
                    all.Add(name, width);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(NamesAndWidths))]
    public void Kernel_AnyWidth_EqualsPlainLoop(string name, string width)
    {
        KernelCase test = KernelCase.All[name];
        float[][] actual = KernelHarness.Run(test.Node, width, 2, test.Inputs());
        double[][] expected = test.Expected();
        for (int i = 0; i < expected.Length; i++)
            Assert.InRange(KernelHarness.Error(expected[i], actual[i]), 0, test.Tolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Kernel_AnyNumberOfThreads_GivesTheSameBits(string name)
    {
        KernelCase test = KernelCase.All[name];
        float[][] alone = KernelHarness.Run(test.Node, null, 1, test.Inputs()), together = KernelHarness.Run(test.Node, null, 3, test.Inputs());
        Assert.Equal(alone, together);
    }

    /// <summary>With input and output in one buffer, as the runtime may do and training does.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Kernel_OutputsInPlaceOfInputs_GivesTheSameBits(string name)
    {
        KernelCase test = KernelCase.All[name];
        float[][] expected = KernelHarness.Run(test.Node, null, 2, test.Inputs());
        using var session = new OrtSession(test.Node.Model(), new SessionSettings { Threads = 2 });
        using BoundSession bound = session.Bind();
        TensorBuffer[] inputs = test.Inputs();
        for (int i = 0; i < inputs.Length; i++) bound.Input($"in{i}", inputs[i]);
        TensorBuffer[] outputs = [.. expected.Select((values, i) => InPlace(test.Node.Op, i) is { } input ? inputs[input] : Like(session, i, values.Length, inputs))];
        for (int i = 0; i < outputs.Length; i++) bound.Output($"out{i}", outputs[i]);
        bound.Run();
        for (int i = 0; i < outputs.Length; i++) Assert.Equal(expected[i], outputs[i].Span<float>());
        foreach (TensorBuffer buffer in inputs.Concat(outputs)) buffer.Dispose();
    }

    [Fact]
    public void All_Kernels_HaveACase()
    {
        string[] elsewhere = ["Accumulate", "AdamW", "QuantizedAdamW", "CausalAttention", "CausalAttentionGrad", "PackedAttention", "PackedAttentionGrad", "MatrixProduct", "BiasedProduct", "AccumulatedProduct", "QuantizedProduct", .. OnnxLlm.Graphs.Functions.CachedAttention.Forms.Concat(RaggedAttention.Forms).Select(form => form.Name)];
        Assert.Empty(KernelList.Names.Except(KernelCase.All.Values.Select(test => test.Node.Op)).Except(elsewhere));
    }

    [Fact]
    public void SoftmaxCrossEntropy_LabelOutOfRange_NamesRowAndLabel()
    {
        var node = KernelHarness.Node("SoftmaxCrossEntropy");
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            node, null, 1, TensorBuffer.Of(new float[6], 2, 3), TensorBuffer.Of([0L, 3], 2), TensorBuffer.Of([1f])));
        Assert.Contains("the label 3 of row 1 is not below 3", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(2)]
    public void ScatterAddRows_IdOutOfRange_NamesIt(long id)
    {
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            KernelHarness.Node("ScatterAddRows"), null, 1, TensorBuffer.Of(new float[6], 2, 3), TensorBuffer.Of([0L, id], 2), TensorBuffer.Of(new float[6], 2, 3)));
        Assert.Contains($"the id {id} at 1 is not below 2", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(KernelHarness.Widths), MemberType = typeof(KernelHarness))]
    public void LayerNormGrad_NoRows_GivesZeros(string width)
    {
        var node = KernelHarness.Node("LayerNormGrad");
        TensorBuffer Empty(long columns) => TensorBuffer.Of(Array.Empty<float>(), 0, columns);
        float[][] result = KernelHarness.Run(node, width, 1, Empty(20), Empty(20), TensorBuffer.Of(new float[20], 20), Empty(1), Empty(1));
        Assert.Empty(result[0]);
        Assert.Equal(new float[20], result[1]);
        Assert.Equal(new float[20], result[2]);
    }

    [Fact]
    public void SoftmaxCrossEntropy_HugeLogits_StaysFinite()
    {
        float[][] result = KernelHarness.Run(
            KernelHarness.Node("SoftmaxCrossEntropy"), null, 1, TensorBuffer.Of([1e30f, -1e30f, 0], 1, 3), TensorBuffer.Of([0L], 1), TensorBuffer.Of([1f]));
        Assert.Equal([0f], result[0]);
        Assert.Equal([0f, 0, 0], result[1]);
    }

    /// <summary>Gradients of three tokens whose logits are 0, -50 and -60: 2^-80 is e^-55.5. 32 rows, so that whole vectors are tested.</summary>
    [Theory]
    [MemberData(nameof(KernelHarness.Widths), MemberType = typeof(KernelHarness))]
    public void LinearCrossEntropy_OfProbabilitiesFarBelowTheLargest_HasNoGradient(string width)
    {
        const int Rows = 32;
        float[] ones = [.. Enumerable.Repeat(1f, Rows)];
        float[] gradient = KernelHarness.Run(
            KernelHarness.Node("LinearCrossEntropy"), width, 1,
            TensorBuffer.Of(new float[3], 3, 1), TensorBuffer.Of(ones, Rows, 1), TensorBuffer.Of([0f, -50, -60], 3, 1), TensorBuffer.Of(new long[Rows], Rows), TensorBuffer.Of([1f]), TensorBuffer.Of([true], 1))[2];
        Assert.Equal(Rows * Math.Exp(-50), gradient[1], Rows * Math.Exp(-50) * 1e-5);
        Assert.Equal(0, gradient[2]);
    }

    [Theory]
    [MemberData(nameof(KernelHarness.Widths), MemberType = typeof(KernelHarness))]
    public void Gelu_FarFromZero_IsZeroOrIdentity(string width)
    {
        float[] x = [.. Enumerable.Repeat<float[]>([-1e4f, -40f, 40f, 1e4f], 8).SelectMany(values => values)];
        float[] y = KernelHarness.Run(KernelHarness.Node("Gelu"), width, 1, TensorBuffer.Of(x, x.Length))[0];
        Assert.Equal([.. x.Select(value => Math.Max(value, 0))], y.Select(value => value == 0 ? 0 : value));
    }

    private static int? InPlace(string op, int output)
    {
        (int Input, int Output)[] pairs = KernelList.All.Single(kernel => kernel.Name == op).Reuse switch
        {
            Reuse.FirstForFirst => [(0, 0)],
            Reuse.FirstForSecond => [(0, 1)],
            Reuse.FirstForThird => [(0, 2)],
            Reuse.SecondAndThirdForFirstAndSecond => [(1, 0), (2, 1)],
            _ => [],
        };
        return pairs.Where(pair => pair.Output == output).Select(pair => (int?)pair.Input).FirstOrDefault();
    }

    /// <summary>A buffer of the shape that the first run showed; statistics of rows keep their last dimension.</summary>
    private static TensorBuffer Like(OrtSession session, int output, int count, TensorBuffer[] inputs)
    {
        var outputs = session.Run(inputs.Select((buffer, i) => (buffer, i)).ToDictionary(pair => $"in{pair.i}", pair => pair.buffer));
        TensorBuffer shaped = outputs[$"out{output}"];
        foreach (TensorBuffer other in outputs.Values.Where(other => other != shaped)) other.Dispose();
        Assert.Equal(count, shaped.Count);
        return shaped;
    }
}
