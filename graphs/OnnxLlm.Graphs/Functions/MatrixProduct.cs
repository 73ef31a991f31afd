namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// The product of two matrices, either of them transposed. Gemm itself is its definition; the name is our own so that a kernel can take its place,
/// which reads transposed operands as fast as others. Graphs are built and differentiated with Gemm, see <see cref="Training.MatrixProducts"/>.
/// </summary>
internal static class MatrixProduct
{
    private const string TransposeA = "transA", TransposeB = "transB";

    /// <summary>op(a)·op(b).</summary>
    internal static Function Plain { get; } = new()
    {
        Name = "MatrixProduct",
        Inputs = [new("a", ["M", "K"]), new("b", ["K", "N"])],
        Outputs = ["c"],
        Attributes = [(TransposeA, 0), (TransposeB, 0)],
        Infer = (inputs, attributes) => [(inputs[0].Type, Product(inputs[0], inputs[1], attributes))],
        Body = (g, inputs) => [Gemm(g, inputs)],
    };

    /// <summary>op(a)·op(b) + bias, the bias [N] added to every row.</summary>
    internal static Function WithBias { get; } = new()
    {
        Name = "BiasedProduct",
        Inputs = [new("a", ["M", "K"]), new("b", ["K", "N"]), new("bias", ["N"])],
        Outputs = ["c"],
        Attributes = [(TransposeA, 0), (TransposeB, 0)],
        Infer = (inputs, attributes) => Product(inputs[0], inputs[1], attributes) is var shape && inputs[2].Shape.Equals([shape[1]])
            ? [(inputs[0].Type, shape)]
            : throw new GraphException($"BiasedProduct needs a bias of {shape[1]} values, got {inputs[2].Shape}."),
        Body = (g, inputs) => [Gemm(g, inputs)],
    };

    /// <summary>op(a)·op(b) where reset holds, else added to the buffer: the gradient of a weight and its accumulation. May work in place.</summary>
    internal static Function Accumulated { get; } = new()
    {
        Name = "AccumulatedProduct",
        Inputs = [new("buffer", ["M", "N"]), new("a", ["M", "K"]), new("b", ["K", "N"]), new("reset", ElementType.Bool, [1])],
        Outputs = ["result"],
        Attributes = [(TransposeA, 0), (TransposeB, 0)],
        Infer = (inputs, attributes) => Product(inputs[1], inputs[2], attributes) is var shape && inputs[0].Shape.Equals(shape)
            ? [(inputs[0].Type, shape)]
            : throw new GraphException($"AccumulatedProduct needs a buffer of {shape}, got {inputs[0].Shape}."),
        Body = (g, inputs) =>
        {
            var product = Gemm(g, [inputs[1], inputs[2]]);
            return [g.Where(inputs[3], product, inputs[0] + product)];
        },
    };

    private static TensorShape Product(Value left, Value right, Attributes attributes)
    {
        var (a, b) = (left.Shape, right.Shape);
        bool ta = attributes.Int(TransposeA) != 0, tb = attributes.Int(TransposeB) != 0;
        return a[ta ? 0 : 1] == b[tb ? 1 : 0]
            ? [a[ta ? 1 : 0], b[tb ? 0 : 1]]
            : throw new GraphException($"A product of {a}{(ta ? "ᵀ" : "")} and {b}{(tb ? "ᵀ" : "")} does not exist.");
    }

    private static Value Gemm(GraphBuilder g, IReadOnlyList<Value> inputs) => g.Emit(
        "Gemm", [.. inputs], inputs[0].Type, ["M", "N"], (TransposeA, AttributeValue.Reference(TransposeA, 0)), (TransposeB, AttributeValue.Reference(TransposeB, 0)));
}
