using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>How a node reads a weight: as the matrix of a product, or as a table whose rows it looks up.</summary>
internal enum WeightRole { Product, Lookup }

/// <summary>
/// One node's use of a weight. <see cref="Turned"/> when the rows to be quantized (outputs of a product, entries of a table) are the columns of the
/// stored tensor.
/// </summary>
internal sealed record WeightUse(NodeProto Node, TensorProto Weight, WeightRole Role, bool Turned)
{
    public int Rows => (int)Weight.Dims[Turned ? 1 : 0];

    public int Columns => (int)Weight.Dims[Turned ? 0 : 1];

    /// <summary>Why the weight must stay as it is, or null.</summary>
    public string? Refusal(QuantizationSettings settings)
    {
        if (Weight.Dims.Count != 2) return $"it has {Weight.Dims.Count} dimensions, not 2";
        if (Weight.DataType != (int)TensorProto.Types.DataType.Float) return $"its type is {(TensorProto.Types.DataType)Weight.DataType}, not FLOAT";
        if (settings.Excludes(Weight.Name)) return "it is on the exclude list";
        if (Math.Min(Rows, Columns) < settings.SmallestSide) return $"it is {Weight.Dims[0]} x {Weight.Dims[1]}; the smallest side is {settings.SmallestSide}";
        if (BlockMatrix.BlocksOf(Columns, settings.Block) * (settings.Block + sizeof(float)) >= Columns * sizeof(float))
            return $"its {Columns} columns padded to blocks of {settings.Block} would not be smaller";
        return Node.OpType == "Gemm" && !IsPlain(Node) ? "its Gemm transposes or scales other operands" : null;
    }

    private static bool IsPlain(NodeProto gemm) => gemm.Attribute.All(a => a.Name switch
    {
        "alpha" or "beta" => a.F == 1,
        "transA" => a.I == 0,
        _ => true,
    });
}
