namespace OnnxLlm.Graphs.Functions;

/// <summary>
/// A product with a weight in 8-bit blocks: y[.., N] = a[.., K] · Wᵀ, W ≈ scale · (value − 128) with one scale for a block of a row. The last block of a row is
/// padded. ONNX Runtime's MatMulNBits, whose layout this is, is its definition, so that every build of the runtime runs the file at speed; a kernel may round
/// the activations less than that does (accuracy level 4: 8 bits for each block).
/// </summary>
public static class QuantizedProduct
{
    public const string Name = "QuantizedProduct", Columns = "K", Rows = "N", Block = "block_size";

    /// <summary>How MatMulNBits rounds activations. Always written: level 0, the runtime's own choice, is some 60 times slower for one token.</summary>
    public const long AccuracyLevel = 4;

    public static Function Forward { get; } = new()
    {
        Name = Name,
        Inputs = [new("a", ["M", "K"]), new("values", ElementType.UInt8, ["N", "blocks", "block"]), new("scales", ["N", "blocks"])],
        Outputs = ["y"],
        Attributes = [(Columns, 0), (Rows, 0), (Block, 32)],
        Infer = (inputs, attributes) => [(inputs[0].Type, inputs[0].Shape.With(-1, attributes.Int(Rows)))],
        Body = (g, inputs) =>
        [
            g.EmitMicrosoft("MatMulNBits", [.. inputs], inputs[0].Type, ["M", "N"], Same(Columns), Same(Rows), Same(Block), ("bits", 8), ("accuracy_level", AccuracyLevel)),
        ],
    };

    private static (string, AttributeValue) Same(string attribute) => (attribute, AttributeValue.Reference(attribute, 0));
}
