using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// A cache of 16 or 8 bits as the CUDA provider reads it best. That of 16 bits is of the activations' type, as any cache of floats. Of bytes: for a single query it has a kernel that reads bytes where they lie, if all of them stand for themselves times one number. Where each channel has
/// its own scale it widens the whole cache first, in every step.
/// </summary>
internal static class CudaCache
{
    /// <summary>The one number: 1, an initializer [1], in float32 whatever the rest is in. Keys and values must have the very same tensor.</summary>
    public const string Scale = "cache.scale";

    /// <summary>A larger inverse would leave float16. What a channel of such numbers adds to a score, or to an answer, is below what that holds anyway.</summary>
    private const float Least = 1f / (1 << 14);

    /// <summary>What the kernel is compiled for: query heads of a key/value head, elements of a head.</summary>
    private static readonly long[] Ratios = [4, 8, 16, 32], Sizes = [64, 128, 256];

    /// <summary>Attention over a cache of bfloat16 becomes that over one of the type that everything has.</summary>
    public static void Widen(ModelProto model)
    {
        foreach (var (narrow, wide) in ((Function, Function)[])[(CachedAttention.BFloat16Plain, CachedAttention.Plain), (CachedAttention.BFloat16Rotary, CachedAttention.Rotary)])
        {
            if (model.Functions.FirstOrDefault(f => f.Name == narrow.Name) is not { } definition) continue;
            model.Functions.Remove(definition);
            OnnxWriter.Define(model, wide);
            foreach (var node in model.Graph.Node.Where(n => n.Domain == Function.Domain && n.OpType == narrow.Name)) node.OpType = wide.Name;
        }
        foreach (var cache in model.Graph.Input.Concat(model.Graph.Output).Where(v => v.Type.TensorType.ElemType == (int)ElementType.BFloat16)) cache.Type.TensorType.ElemType = (int)ElementType.Float;
    }

    /// <summary>
    /// Signed bytes with a scale for each channel become such that stand for themselves: new keys and values are divided by the scales of their channels before they are kept, and queries and what
    /// attention gives are multiplied by them, q·(s∘k) = (s∘q)·k and Σ p·(s∘v) = s∘Σ p·v. The bytes are the same. Channels that are turned into each other must have one scale, which calibration sees
    /// to. Attention of another shape stays as it is, and so does that of GPT-2, whose keys do not turn: each of its heads has its own.
    /// </summary>
    public static void ShareScales(GraphProto graph)
    {
        foreach (var node in graph.Node.Where(n => n.Domain == Function.Domain && n.OpType == CachedAttention.Int8Rotary.Name).ToList())
        {
            var sizes = HeadSizes.Of(graph, node);
            if (!sizes.HasKernel) continue;
            float[][] scales = [.. node.Input.TakeLast(CachedAttention.ScaleCount).Select(name => Array.ConvertAll(Values(graph, name), s => Math.Max(s, Least)))];
            if (!sizes.ArePaired(scales[0])) continue;
            Multiply(graph, node, sizes, scales[0], scales[1]);
            ReadOneScale(graph, node);
        }
    }

    /// <summary>qkv ∘ [s_k | 1/s_k | 1/s_v] before, y ∘ s_v behind.</summary>
    private static void Multiply(GraphProto graph, NodeProto node, HeadSizes sizes, float[] keys, float[] values)
    {
        int at = graph.Node.IndexOf(node);
        string before = $"{node.Name}/qkv", behind = $"{node.Name}/y";
        float[] queries = sizes.ForQueries(keys);
        graph.Node.Insert(at + 1, Product($"{node.Name}/Behind", behind, Factors(graph, $"{node.Name}/values", sizes.ForQueries(values)), node.Output[0]));
        graph.Node.Insert(at, Product($"{node.Name}/Before", node.Input[0], Factors(graph, $"{node.Name}/factors", [.. queries, .. keys.Select(s => 1 / s), .. values.Select(s => 1 / s)]), before));
        (node.Input[0], node.Output[0]) = (before, behind);
    }

    private static NodeProto Product(string name, string a, string b, string output) => new() { OpType = "Mul", Name = name, Input = { a, b }, Output = { output } };

    private static string Factors(GraphProto graph, string name, float[] values)
    {
        graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)ElementType.Float, Dims = { values.Length }, RawData = UnsafeByteOperations.UnsafeWrap(MemoryMarshal.AsBytes(values.AsSpan()).ToArray()) });
        return name;
    }

    /// <summary>The function's node becomes the operator that is its body, with one scale for all.</summary>
    private static void ReadOneScale(GraphProto graph, NodeProto node)
    {
        if (graph.Initializer.All(t => t.Name != Scale)) Factors(graph, Scale, [1]);
        string[] inputs = [.. node.Input.SkipLast(CachedAttention.ScaleCount)];
        node.Input.Clear();
        node.Input.AddRange([inputs[0], "", "", .. inputs[1..], "", "", "", Scale, Scale]);      // neither positions nor a bias nor sinks
        (node.Domain, node.OpType) = ("com.microsoft", "GroupQueryAttention");
        node.Attribute.Add(new AttributeProto { Name = "do_rotary", I = 1, Type = AttributeProto.Types.AttributeType.Int });
        node.Attribute.Add(new AttributeProto { Name = "kv_cache_bit_width", I = 8, Type = AttributeProto.Types.AttributeType.Int });
        foreach (string type in (string[])["k_quant_type", "v_quant_type"]) node.Attribute.Add(new AttributeProto { Name = type, S = ByteString.CopyFromUtf8("PER_TENSOR"), Type = AttributeProto.Types.AttributeType.String });
    }

    private static float[] Values(GraphProto graph, string name) => MemoryMarshal.Cast<byte, float>(graph.Initializer.Single(t => t.Name == name).RawData.Span).ToArray();

    private sealed record HeadSizes(long Heads, long Groups, long Size)
    {
        public bool HasKernel => Ratios.Contains(Heads / Groups) && Sizes.Contains(Size);

        public static HeadSizes Of(GraphProto graph, NodeProto node)
        {
            long Attribute(string name) => node.Attribute.Single(a => a.Name == name).I;
            return new(Attribute("num_heads"), Attribute("kv_num_heads"), graph.Input.Single(i => i.Name == node.Input[1]).Type.TensorType.Shape.Dim[3].DimValue);
        }

        /// <summary>A key's channel is turned into the one half a head further.</summary>
        public bool ArePaired(float[] scales) => Enumerable.Range(0, scales.Length).All(i => i % Size >= Size / 2 || scales[i] == scales[i + Size / 2]);

        /// <summary>[G·K] of key/value heads as [H·K] of the query heads that read them.</summary>
        public float[] ForQueries(float[] scales) => [.. Enumerable.Range(0, (int)Heads).SelectMany(head => scales.Skip((int)(head / (Heads / Groups) * Size)).Take((int)Size))];
    }
}
