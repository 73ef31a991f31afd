using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tools.Quantization;

/// <summary>
/// A generation graph, its weights quantized or not, with a cache of signed bytes, or of floats of 16 bits, in the place of floats: attention takes its other form, for bytes with a scale for every
/// channel of keys and values, and the inputs and outputs of the cache change their type. Everything else stays as it was.
/// </summary>
internal static class CacheQuantizer
{
    private static readonly Dictionary<string, Function>
        Bytes = new() { [CachedAttention.Plain.Name] = CachedAttention.Int8Plain, [CachedAttention.Rotary.Name] = CachedAttention.Int8Rotary },
        Narrow = new() { [CachedAttention.Plain.Name] = CachedAttention.BFloat16Plain, [CachedAttention.Rotary.Name] = CachedAttention.BFloat16Rotary };

    /// <summary>A new model whose cache holds bytes; <paramref name="model"/> is not changed.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="scales">[G·K] scales of each cache, by the name of its input.</param>
    public static ModelProto Quantize(ModelProto model, IReadOnlyDictionary<string, float[]> scales)
    {
        var copy = model.Clone();
        foreach (var node in Replace(copy, Bytes, ElementType.Int8))
        {
            foreach (string past in Past(node))
            {
                var shape = copy.Graph.Input.Single(i => i.Name == past).Type.TensorType.Shape;
                copy.Graph.Initializer.Add(Scale($"{past}.scale", scales[past], shape.Dim[1].DimValue, shape.Dim[3].DimValue));
                node.Input.Add($"{past}.scale");
            }
        }
        return copy;
    }

    /// <summary>A new model whose cache holds floats of 16 bits; <paramref name="model"/> is not changed.</summary>
    public static ModelProto ToBFloat16(ModelProto model)
    {
        var copy = model.Clone();
        Replace(copy, Narrow, ElementType.BFloat16);
        return copy;
    }

    /// <summary>The nodes of attention, in their other form.</summary>
    private static NodeProto[] Replace(ModelProto copy, Dictionary<string, Function> forms, ElementType type)
    {
        NodeProto[] attentions = [.. copy.Graph.Node.Where(n => n.Domain == Function.Domain && forms.ContainsKey(n.OpType))];
        if (attentions.Length == 0) throw new ToolException("The package is from before attention over the cache was a function; export or import it again.");
        foreach (string name in attentions.Select(n => n.OpType).Distinct())
        {
            copy.Functions.Remove(copy.Functions.Single(f => f.Name == name));
            OnnxWriter.Define(copy, forms[name]);
        }
        foreach (var node in attentions) node.OpType = forms[node.OpType].Name;
        var caches = attentions.SelectMany(n => Past(n).Concat(n.Output.Skip(1))).ToHashSet();
        foreach (var value in copy.Graph.Input.Concat(copy.Graph.Output).Where(v => caches.Contains(v.Name))) value.Type.TensorType.ElemType = (int)type;
        return attentions;
    }

    /// <summary>Names of a node's past keys and values.</summary>
    private static string[] Past(NodeProto attention) => [.. attention.Input.Skip(1).Take(2)];

    private static TensorProto Scale(string name, float[] values, long heads, long size) => new()
    {
        Name = name,
        DataType = (int)ElementType.Float,
        Dims = { 1, heads, 1, size },
        RawData = UnsafeByteOperations.UnsafeWrap(MemoryMarshal.AsBytes(values.AsSpan()).ToArray()),
    };
}
