using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>The nodes that replace a product or a lookup; their outputs keep the names that the old nodes gave.</summary>
internal static class Operators
{
    private const string Microsoft = "com.microsoft";

    public static IEnumerable<NodeProto> Product(NodeProto old, BlockMatrix matrix, string values, string scales)
    {
        string? bias = old.OpType == "Gemm" && old.Input.Count > 2 && old.Input[2].Length > 0 ? old.Input[2] : null;
        string result = bias is null ? old.Output[0] : $"{old.Output[0]}.product";
        yield return Node(QuantizedProduct.Name, old.Name, Function.Domain, [old.Input[0], values, scales], result,
            (QuantizedProduct.Columns, matrix.Columns), (QuantizedProduct.Rows, matrix.Rows), (QuantizedProduct.Block, matrix.Block));
        if (bias is not null) yield return Node("Add", $"{old.Name}.bias", "", [result, bias], old.Output[0]);
    }

    /// <summary>The table of a lookup has two dimensions; where it is shared with a product, the runtime merges its blocks once, when it loads the model.</summary>
    public static IEnumerable<NodeProto> Lookup(NodeProto old, BlockMatrix matrix, string values, string scales, bool inBlocks)
    {
        string table = values;
        if (inBlocks)
        {
            table = $"{old.Output[0]}.table";
            yield return Constant($"{table}.shape", matrix.Rows, matrix.Columns);
            yield return Node("Reshape", table, "", [values, $"{table}.shape"], table);
        }
        yield return Node("GatherBlockQuantized", old.Name, Microsoft, [table, old.Input[1], scales], old.Output[0],
            ("gather_axis", 0), ("quantize_axis", 1), ("block_size", matrix.Block), ("bits", 8));
    }

    private static NodeProto Node(string op, string name, string domain, string[] inputs, string output, params (string Name, long Value)[] attributes)
    {
        var node = new NodeProto { OpType = op, Name = name, Output = { output } };
        if (domain.Length > 0) node.Domain = domain;
        node.Input.AddRange(inputs);
        node.Attribute.AddRange(attributes.Select(a => new AttributeProto { Name = a.Name, I = a.Value, Type = AttributeProto.Types.AttributeType.Int }));
        return node;
    }

    private static NodeProto Constant(string name, params long[] values)
    {
        var value = new AttributeProto { Name = "value_ints", Type = AttributeProto.Types.AttributeType.Ints };
        value.Ints.AddRange(values);
        return new NodeProto { OpType = "Constant", Output = { name }, Name = name, Attribute = { value } };
    }
}
