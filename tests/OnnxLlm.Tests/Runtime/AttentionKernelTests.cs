using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

public sealed class AttentionKernelTests
{
    /// <summary>Products of 2^-24 roundings: about √K in a score, √T in a sum over keys or queries; 64 times that is generous for these sizes.</summary>
    private const double Tolerance = 64 * 6e-8;

    /// <summary>Batch, time, heads, key/value heads, head size: whole tiles, no whole tile, one position, grouped heads, all sharing one, odd sizes.</summary>
    private static readonly AttentionReference[] Shapes =
    [
        new(1, 64, 2, 2, 32), new(2, 128, 4, 2, 64), new(1, 100, 3, 1, 16), new(2, 33, 2, 2, 24), new(3, 1, 2, 1, 8), new(1, 65, 1, 1, 5), new(1, 200, 2, 1, 80),
    ];

    public static TheoryData<int, string> Cases
    {
        get
        {
            var all = new TheoryData<int, string>();
            for (int i = 0; i < Shapes.Length; i++)
                foreach (string width in KernelHarness.WidthNames)
                    all.Add(i, width);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_AnyShapeAndWidth_EqualsPlainLoop(int shape, string width)
    {
        var data = new Data(Shapes[shape]);
        float[][] actual = data.Forward(width, 2);
        double[][] expected = data.Shape.Forward(data.Q, data.K, data.V);
        for (int i = 0; i < expected.Length; i++) Assert.InRange(KernelHarness.Error(expected[i], actual[i], least: 1), 0, Tolerance);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Backward_AnyShapeAndWidth_EqualsPlainLoop(int shape, string width)
    {
        var data = new Data(Shapes[shape]);
        float[][] actual = data.Backward(width, 2);
        double[][] expected = data.Shape.Backward(data.Output, data.Q, data.K, data.V);
        for (int i = 0; i < expected.Length; i++) Assert.InRange(KernelHarness.Error(expected[i], actual[i], least: 1), 0, Tolerance);
    }

    [Fact]
    public void Attention_AnyNumberOfThreads_GivesTheSameBits()
    {
        var data = new Data(Shapes[1]);
        Assert.Equal(data.Forward(null, 1), data.Forward(null, 3));
        Assert.Equal(data.Backward(null, 1), data.Backward(null, 3));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Packed_AnyShapeAndWidth_GivesTheBitsOfTheSeparateTensors(int shape, string width)
    {
        var data = new Data(Shapes[shape]);
        float[][] forward = data.Forward(width, 2), backward = data.Backward(width, 2);
        Assert.Equal(forward, data.PackedForward(width));
        Assert.Equal(data.Pack(backward[0], backward[1], backward[2]), data.PackedBackward(width, forward)[0]);
    }

    [Fact]
    public void Forward_HugeScores_StaysFinite()
    {
        var data = new Data(Shapes[0]);
        for (int i = 0; i < data.Q.Length; i++) data.Q[i] *= 1e4f;
        Assert.All(data.Forward(null, 1)[0], value => Assert.True(float.IsFinite(value)));
        Assert.All(data.Backward(null, 1)[0], value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Forward_HeadsThatDoNotDivide_IsRefused()
    {
        var node = KernelHarness.Node("CausalAttention", ("heads", 3), ("kv_heads", 2));
        var error = Assert.Throws<ModelRuntimeException>(() => KernelHarness.Run(
            node, null, 1, TensorBuffer.Of(new float[12], 1, 1, 12), TensorBuffer.Of(new float[8], 1, 1, 8), TensorBuffer.Of(new float[8], 1, 1, 8)));
        Assert.Contains("3 heads over 2", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Random inputs of one shape and the kernels' runs on them.</summary>
    private sealed record Data(AttentionReference Shape)
    {
        public float[] Q { get; } = KernelHarness.Normal(Shape.QueryCount, 1);

        public float[] K { get; } = KernelHarness.Normal(Shape.KeyCount, 2);

        public float[] V { get; } = KernelHarness.Normal(Shape.KeyCount, 3);

        public float[] Output { get; } = KernelHarness.Normal(Shape.QueryCount, 4);

        public float[][] Forward(string? width, int threads) => KernelHarness.Run(Node("CausalAttention"), width, threads, Queries(Q), Keys(K), Keys(V));

        public float[][] Backward(string? width, int threads)
        {
            float[][] forward = Forward(width, threads);
            return KernelHarness.Run(
                Node("CausalAttentionGrad"), width, threads,
                Queries(Output), Queries(Q), Keys(K), Keys(V), Queries(forward[0]), TensorBuffer.Of(forward[1], Shape.Batch, Shape.Heads, Shape.Time));
        }

        public float[][] PackedForward(string? width) => KernelHarness.Run(Node("PackedAttention"), width, 2, Packed());

        public float[][] PackedBackward(string? width, float[][] forward) => KernelHarness.Run(
            Node("PackedAttentionGrad"), width, 2,
            Queries(Output), Packed(), Queries(forward[0]), TensorBuffer.Of(forward[1], Shape.Batch, Shape.Heads, Shape.Time));

        /// <summary>Queries, keys and values of every position side by side.</summary>
        public float[] Pack(float[] q, float[] k, float[] v)
        {
            int queries = Shape.Heads * Shape.Size, keys = Shape.KeyHeads * Shape.Size;
            return [.. Enumerable.Range(0, Shape.Batch * Shape.Time).SelectMany(row => q[(row * queries)..((row + 1) * queries)]
                .Concat(k[(row * keys)..((row + 1) * keys)]).Concat(v[(row * keys)..((row + 1) * keys)]))];
        }

        private TensorBuffer Packed() => TensorBuffer.Of(Pack(Q, K, V), Shape.Batch, Shape.Time, (Shape.Heads + 2 * Shape.KeyHeads) * Shape.Size);

        private OneNode Node(string op) => KernelHarness.Node(op, ("heads", Shape.Heads), ("kv_heads", Shape.KeyHeads));

        private TensorBuffer Queries(float[] values) => TensorBuffer.Of(values, Shape.Batch, Shape.Time, Shape.Heads * Shape.Size);

        private TensorBuffer Keys(float[] values) => TensorBuffer.Of(values, Shape.Batch, Shape.Time, Shape.KeyHeads * Shape.Size);
    }
}
