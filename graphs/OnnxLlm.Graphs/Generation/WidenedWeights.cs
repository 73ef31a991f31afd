using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// A quantized generation model with the same weights written out: plain products of floats, for a device where those are faster than products with 8-bit blocks.
/// Looked-up tables stay as they are: only the rows that are asked for are read.
/// </summary>
public static class WidenedWeights
{
    private const int Zero = 128;

    /// <summary>MatMulNBits of our quantizer, and the function that has its layout.</summary>
    private static readonly string[] Products = ["MatMulNBits", QuantizedProduct.Name];

    public static ModelProto Of(ModelProto model)
    {
        var copy = model.Clone();
        var graph = copy.Graph;
        var tensors = graph.Initializer.ToDictionary(t => t.Name);
        var wide = new Dictionary<string, TensorProto>();
        foreach (var node in graph.Node.Where(n => Products.Contains(n.OpType)))
        {
            string name = $"{node.Input[1]}.wide";
            if (!wide.ContainsKey(name)) wide[name] = Weight(name, tensors[node.Input[1]], tensors[node.Input[2]], node.Attribute.Single(a => a.Name == QuantizedProduct.Columns).I);
            (node.OpType, node.Domain) = ("MatMul", "");
            node.Attribute.Clear();
            while (node.Input.Count > 1) node.Input.RemoveAt(node.Input.Count - 1);
            node.Input.Add(name);
        }
        graph.Initializer.AddRange(wide.Values);
        var read = graph.Node.SelectMany(n => n.Input).Concat(graph.Output.Select(o => o.Name)).ToHashSet();
        foreach (var unread in graph.Initializer.Where(t => !read.Contains(t.Name)).ToList()) graph.Initializer.Remove(unread);
        return copy;
    }

    /// <summary>values [N, blocks, block] and scales [N, blocks] → [K, N]: (value − 128)·scale.</summary>
    private static TensorProto Weight(string name, TensorProto values, TensorProto scales, long columns)
    {
        int rows = (int)values.Dims[0], blocks = (int)values.Dims[1], block = (int)values.Dims[2];
        var bytes = values.RawData.Span;
        var scale = MemoryMarshal.Cast<byte, float>(scales.RawData.Span);
        float[] weight = new float[columns * rows];
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                weight[(long)column * rows + row] = (bytes[row * blocks * block + column] - Zero) * scale[row * blocks + column / block];
        return new TensorProto
        {
            Name = name,
            DataType = (int)ElementType.Float,
            Dims = { columns, rows },
            RawData = UnsafeByteOperations.UnsafeWrap(MemoryMarshal.AsBytes(weight.AsSpan()).ToArray()),
        };
    }
}
