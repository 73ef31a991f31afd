using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// A generation graph, its weights quantized or not, with a cache of signed bytes in the place of floats: attention takes its other form, with a scale for every
/// channel of keys and values, and the inputs and outputs of the cache change their type. Everything else stays as it was.
/// </summary>
internal static class CacheQuantizer
{
    private static readonly Dictionary<string, Function> Forms = new()
    {
        [CachedAttention.Plain.Name] = CachedAttention.Int8Plain,
        [CachedAttention.Rotary.Name] = CachedAttention.Int8Rotary,
    };

    /// <summary>A new model; <paramref name="model"/> is not changed.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="scales">[G·K] scales of each cache, by the name of its input.</param>
    public static ModelProto Quantize(ModelProto model, IReadOnlyDictionary<string, float[]> scales)
    {
        var copy = model.Clone();
        NodeProto[] attentions = [.. copy.Graph.Node.Where(n => n.Domain == Function.Domain && Forms.ContainsKey(n.OpType))];
        if (attentions.Length == 0) throw new ToolException("The package is from before attention over the cache was a function; export or import it again.");
        foreach (string name in attentions.Select(n => n.OpType).Distinct())
        {
            copy.Functions.Remove(copy.Functions.Single(f => f.Name == name));
            OnnxWriter.Define(copy, Forms[name]);
        }
        foreach (var node in attentions) Replace(copy.Graph, node, scales);
        return copy;
    }

    private static void Replace(GraphProto graph, NodeProto node, IReadOnlyDictionary<string, float[]> scales)
    {
        node.OpType = Forms[node.OpType].Name;
        foreach (string past in node.Input.Skip(1).Take(2).ToArray())
        {
            var input = graph.Input.Single(i => i.Name == past).Type.TensorType;
            input.ElemType = (int)ElementType.Int8;
            graph.Initializer.Add(Scale($"{past}.scale", scales[past], input.Shape.Dim[1].DimValue, input.Shape.Dim[3].DimValue));
            node.Input.Add($"{past}.scale");
        }
        foreach (var output in graph.Output.Where(o => node.Output.Skip(1).Contains(o.Name))) output.Type.TensorType.ElemType = (int)ElementType.Int8;
    }

    private static TensorProto Scale(string name, float[] values, long heads, long size) => new()
    {
        Name = name,
        DataType = (int)ElementType.Float,
        Dims = { 1, heads, 1, size },
        RawData = UnsafeByteOperations.UnsafeWrap(MemoryMarshal.AsBytes(values.AsSpan()).ToArray()),
    };
}
