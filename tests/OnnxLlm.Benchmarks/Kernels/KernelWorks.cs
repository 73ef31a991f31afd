using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Benchmarks.Kernels;

/// <summary>
/// Every function that has a kernel, at a size at which nothing stays in a cache from one run to the next (64 MB a tensor), or, for products, at the sizes of a model
/// of 124 M parameters.
/// </summary>
internal static class KernelWorks
{
    private const long Rows = 16384, Width = 1024, Elements = Rows * Width, Vocabulary = 16384, LossRows = 2048;
    private const double Tensor = 4.0 * Elements, Logits = 4.0 * LossRows * Vocabulary;

    private const double Blocks = Tensor / QuantizedAdamW.Block;

    private static readonly TensorShape Matrix = [Rows, Width], Vector = [Width], Statistics = [Rows, 1], Scales = [Elements / QuantizedAdamW.Block];

    public static IReadOnlyList<KernelWork> All { get; } =
    [
        new("RmsNorm", Size, [Matrix, Vector], x => x, Tensor, Tensor),
        new("RmsNormGrad", Size, [Matrix, Matrix, Vector, Statistics], x => x, 2 * Tensor, Tensor),
        new("RmsNormGradWithValue", Size, [Matrix, Matrix, Vector, Statistics], x => x, 2 * Tensor, 2 * Tensor),
        new("LayerNorm", Size, [Matrix, Vector, Vector], x => x, Tensor, Tensor),
        new("LayerNormGrad", Size, [Matrix, Matrix, Vector, Statistics, Statistics], x => x, 2 * Tensor, Tensor),
        new("LayerNormGradWithValue", Size, [Matrix, Matrix, Vector, Statistics, Statistics, Vector], x => x, 2 * Tensor, 2 * Tensor),
        new("Gelu", Size, [Matrix], x => x, Tensor, Tensor),
        new("GeluGrad", Size, [Matrix, Matrix], x => x, 2 * Tensor, Tensor),
        new("GeluGradWithValue", Size, [Matrix, Matrix], x => x, 2 * Tensor, 2 * Tensor),
        new("SwiGlu", Size, [Matrix, Matrix], x => x, 2 * Tensor, Tensor),
        new("SwiGluGrad", Size, [Matrix, Matrix, Matrix], x => x, 3 * Tensor, 2 * Tensor),
        new("SwiGluGradWithValue", Size, [Matrix, Matrix, Matrix], x => x, 3 * Tensor, 3 * Tensor),
        new("RotaryEmbedding", "16 x 1024 x 16 heads of 64", [[16, 1024, 1024], [1024, 32], [1024, 32]], x => x, Tensor, Tensor) { Attributes = [("heads", 16)] },
        new("SoftmaxCrossEntropy", $"{LossRows} x {Vocabulary}", [[LossRows, Vocabulary]], x => [x[0], Labels(x[0]), x[0].Graph.Scalar(0.01, x[0])], Logits, Logits),
        new("TokenLoss", $"{LossRows} x {Vocabulary}", [[LossRows, Vocabulary]], x => [x[0], Labels(x[0])], Logits, 0) { Beyond = "an exponential for every number that is read" },
        new("ScatterAddRows", $"{Rows} rows into {Size}", [Matrix, Matrix], x => [x[0], Ids(x[1]), x[1]], 2 * Tensor, Tensor)
        {
            InPlace = [0],
            Beyond = "rows are taken in an order that jumps, each thread its own columns of all of them, so that sums do not depend on the number of threads: 2 KB here, 2 KB there",
        },
        new("SquaredNorm", Size, [Matrix], x => x, Tensor, 0),
        new("Accumulate", Size, [Matrix, Matrix], x => [.. x, False(x[0].Graph)], 2 * Tensor, Tensor) { InPlace = [0] },
        new("Sgd", Size, [Matrix, Matrix], x => [.. x, .. Scalars(x[0], 1e-3, 1)], 2 * Tensor, Tensor) { InPlace = [0] },
        new("AdamW", Size, [Matrix, Matrix, Matrix, Matrix], x => [.. x, .. Scalars(x[0], 1e-3, 1, 0.1, 0.1)], 4 * Tensor, 3 * Tensor) { InPlace = [0, 2, 3] },
        new("QuantizedAdamW", Size, [Matrix, Matrix, Matrix, Scales, Matrix, Scales], x => [.. x, .. Scalars(x[0], 1e-3, 1, 0.1, 0.1, 0.3)], 2.5 * Tensor + 2 * Blocks, 1.5 * Tensor + 2 * Blocks)
        {
            Bytes = [2, 4],
            InPlace = [0, 2, 3, 4, 5],
            Beyond = "three roots and a division for every element",
        },
        Attention("CausalAttention", products: 2, inputs: 3),
        Attention("CausalAttentionGrad", products: 5, inputs: 5),
        Product("MatrixProduct", "forward", 1024, 3072, 768, 0, 0),
        Product("MatrixProduct", "gradient of the left factor", 1024, 768, 3072, 0, 1),
        Product("MatrixProduct", "head", 1024, 50304, 768, 0, 1),
        Linear("LinearCrossEntropy", products: 3), Linear("LinearTokenLoss", products: 1),
        Product("BiasedProduct", "forward", 1024, 3072, 768, 0, 0),
        Product("AccumulatedProduct", "gradient of a weight", 768, 3072, 1024, 1, 0),
        Quantized("one token", 1), Quantized("16 tokens", 16), Quantized("a prompt", 256),
    ];

    private static string Size => $"{Rows} x {Width}";

    /// <summary>Only the half of the square that a causal model uses counts; the gradient computes the scores again.</summary>
    private static KernelWork Attention(string function, int products, int inputs)
    {
        const long batch = 2, time = 1024, heads = 12, head = 64;
        TensorShape tensor = [batch, time, heads * head], sums = [batch, heads, time];
        TensorShape[] shapes = inputs == 5 ? [tensor, tensor, tensor, tensor, tensor, sums] : [tensor, tensor, tensor];
        double bytes = 4.0 * batch * time * heads * head;
        return new(function, $"{batch} x {time} x {heads} heads of {head}", shapes, x => x, inputs * bytes, (inputs == 5 ? 3 : 1) * bytes, products * 2.0 * batch * heads * head * time * time / 2)
        {
            Attributes = [("heads", heads), ("kv_heads", heads)],
            Beyond = "exponentials, maxima and packing, and the tiles on the diagonal, which are computed whole",
        };
    }

    private static KernelWork Product(string function, string form, long m, long n, long k, int transposeA, int transposeB)
    {
        TensorShape a = transposeA == 0 ? [m, k] : [k, m], b = transposeB == 0 ? [k, n] : [n, k];
        bool accumulated = function == "AccumulatedProduct";
        TensorShape[] shapes = accumulated ? [[m, n], a, b] : function == "BiasedProduct" ? [a, b, [n]] : [a, b];
        return new(function, $"{form}, {m} x {k} by {k} x {n}", shapes, x => accumulated ? [.. x, False(x[0].Graph)] : x, 4.0 * (m * k + k * n), 4.0 * m * n, 2.0 * m * n * k)
        {
            Attributes = [("transA", transposeA), ("transB", transposeB)],
            Beyond = "packing, and operands that come from memory; a loop of multiply-adds in registers does not feel a neighbour that takes cache and memory, a product does: compare the body",
            InPlace = accumulated ? [0] : [],
        };
    }

    /// <summary>The output layer of the same model with its loss, and with two products more its gradients.</summary>
    private static KernelWork Linear(string function, int products)
    {
        const long rows = 1024, width = 768, tokens = 50304;
        TensorShape[] shapes = products == 3 ? [[tokens, width], [rows, width], [tokens, width]] : [[rows, width], [tokens, width]];
        double bytes = 4.0 * tokens * width;
        return new(
            function, $"{rows} x {width} by {tokens} tokens",
            shapes, x => products == 3 ? [.. x, Labels(x[1]), x[0].Graph.Scalar(0.01, x[0]), False(x[0].Graph)] : [.. x, Labels(x[0])],
            products == 3 ? 2 * bytes : bytes, products == 3 ? bytes : 0, products * 2.0 * rows * width * tokens)
        {
            Beyond = "what products need, the logits of 256 rows at a time, which are written and read, and two exponentials for each",
        };
    }

    /// <summary>The weights are constants, as in a model; a scale of four bytes for each block of 32.</summary>
    private static KernelWork Quantized(string form, long m)
    {
        const long n = 32000, k = 768, block = 32, blocks = k / block;
        return new("QuantizedProduct", $"{form}, {m} x {k} by {k} x {n}", [[m, k], [n, blocks]], x => [x[0], Bytes(x[0].Graph, n, blocks, block), x[1]], 4.0 * (m * k + n * blocks) + n * k, 4.0 * m * n, 2.0 * m * n * k)
        {
            Attributes = [("K", k), ("N", n), ("block_size", block)],
            Beyond = "weights are widened and scaled, block by block; the limit of multiply-adds is that of float32",
        };
    }

    private static Value Bytes(GraphBuilder g, params long[] shape)
    {
        byte[] bytes = new byte[TensorShape.Of(shape).ElementCount];
        new Random(1).NextBytes(bytes);
        return g.Constant(new TensorData(ElementType.UInt8, TensorShape.Of(shape), bytes));
    }

    private static Value[] Scalars(Value like, params double[] values) => [.. values.Select(v => like.Graph.Scalar(v, like))];

    private static Value False(GraphBuilder g) => g.Constant(TensorData.Of(ElementType.Bool, [1], false));

    private static Value Labels(Value rows) => rows.Graph.Int64s([.. Enumerable.Range(0, (int)rows.Shape[0].Value).Select(i => 7L * i % Vocabulary)]);

    /// <summary>Every row once, in an order that jumps.</summary>
    private static Value Ids(Value rows) => rows.Graph.Int64s([.. Enumerable.Range(0, (int)Rows).Select(i => 4099L * i % Rows)]);
}
