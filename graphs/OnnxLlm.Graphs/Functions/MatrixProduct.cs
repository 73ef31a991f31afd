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
        Infer = Infer,
        Body = Body,
    };

    /// <summary>op(a)·op(b) + bias, the bias [N] added to every row.</summary>
    internal static Function WithBias { get; } = new()
    {
        Name = "BiasedProduct",
        Inputs = [new("a", ["M", "K"]), new("b", ["K", "N"]), new("bias", ["N"])],
        Outputs = ["c"],
        Attributes = [(TransposeA, 0), (TransposeB, 0)],
        Infer = Infer,
        Body = Body,
    };

    private static (ElementType Type, TensorShape Shape)[] Infer(IReadOnlyList<Value> inputs, Attributes attributes)
    {
        var (a, b) = (inputs[0].Shape, inputs[1].Shape);
        bool ta = attributes.Int(TransposeA) != 0, tb = attributes.Int(TransposeB) != 0;
        var (rows, columns) = (a[ta ? 1 : 0], b[tb ? 0 : 1]);
        return a[ta ? 0 : 1] == b[tb ? 1 : 0] && (inputs.Count == 2 || inputs[2].Shape.Equals([columns]))
            ? [(inputs[0].Type, [rows, columns])]
            : throw new GraphException($"A product of {a}{(ta ? "ᵀ" : "")} and {b}{(tb ? "ᵀ" : "")}{(inputs.Count == 2 ? "" : $" with the bias {inputs[2].Shape}")} does not exist.");
    }

    private static Value[] Body(GraphBuilder g, IReadOnlyList<Value> inputs) =>
        [g.Emit("Gemm", [.. inputs], inputs[0].Type, ["M", "N"], (TransposeA, AttributeValue.Reference(TransposeA, 0)), (TransposeB, AttributeValue.Reference(TransposeB, 0)))];
}
