using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// A generation model, quantized or not, as the CUDA provider runs it: activations, float weights, scales and cache in 16 bits, for its attention knows
/// nothing wider; the logits in float32. A cache of bytes stays one, and its scales float32. The names of inputs and outputs stay.
/// </summary>
public static class CudaGeneration
{
    /// <summary>An input of the graph for tokens in place of the mask, int64 [batch, 1]: positions that a row holds already.</summary>
    public const string PastLengths = "past_lengths";

    /// <summary>An output of the graph for tokens, int64 [batch, 1, 1]: the token of the highest score, ties to the lowest; −1 where that score is not finite.</summary>
    public const string BestTokens = "best_tokens";

    /// <summary>For any call, prompts above all. Extents are worked out as it runs, which costs a few small copies.</summary>
    public static ModelProto ForPrompts(ModelProto model, ElementType type) => Narrow(model, type);

    /// <summary>
    /// For one new token in each row, with caches of <paramref name="length"/>: nothing then depends on an extent, every node runs on the device, and the whole
    /// can be recorded and replayed for each number of rows. A row tells its length instead of a mask, and the likeliest token is chosen where the scores are:
    /// two numbers a row go in and one comes out, where nobody asks for scores.
    /// </summary>
    public static ModelProto ForTokens(ModelProto model, ElementType type, long length)
    {
        var narrow = Narrow(model, type);
        narrow.Graph.Output.Keep(o => o.Name != GenerationGraph.HiddenStates);
        foreach (var value in narrow.Graph.Input.Concat(narrow.Graph.Output))
            foreach (var d in value.Type.TensorType.Shape.Dim)
                if (Extent(d.DimParam, length) is { } extent) d.DimValue = extent;
        foreach (var node in narrow.Graph.Node.Where(n => n.OpType == "GatherND")) TakeTheOnlyRow(node);
        foreach (var node in narrow.Graph.Node.Where(n => n.OpType == "Shape").ToList()) WriteDown(node, narrow.Graph);
        narrow.Graph.RemoveUnread();
        TakeLengths(narrow.Graph);
        narrow.Graph.RemoveUnread();
        GiveBest(narrow.Graph);
        return narrow;
    }

    private static long? Extent(string symbol, long length) => symbol switch
    {
        "sequence" => 1,
        "total" or "past" or "present" => length,
        _ => null,
    };

    /// <summary>The choice among a row's new tokens, of which there is one. GatherND stages its offsets through the host, which a replay cannot.</summary>
    private static void TakeTheOnlyRow(NodeProto node)
    {
        node.OpType = "Flatten";
        node.Input.RemoveAt(1);
        node.Attribute.Clear();
        node.Attribute.Add(new AttributeProto { Name = "axis", I = 2, Type = AttributeProto.Types.AttributeType.Int });
    }

    /// <summary>An extent of an input, [1], that is known now. The runtime looks for constants only where a whole shape is.</summary>
    private static void WriteDown(NodeProto shape, GraphProto graph)
    {
        if (graph.Input.FirstOrDefault(i => i.Name == shape.Input[0]) is not { } input || shape.Attribute.FirstOrDefault(a => a.Name == "start") is not { } start) return;
        var extent = input.Type.TensorType.Shape.Dim[(int)start.I];
        if (extent.DimValue == 0) return;
        graph.Initializer.Add(new TensorProto { Name = shape.Output[0], DataType = (int)ElementType.Int64, Dims = { 1 }, RawData = UnsafeByteOperations.UnsafeWrap(BitConverter.GetBytes(extent.DimValue)) });
        graph.Node.Remove(shape);
    }

    /// <summary>
    /// A row's length instead of its mask. From the sum of that, the number of keys, only one new token was taken away: what is left is the length, and cannot be less than 0. To be called where nothing
    /// unread is left.
    /// </summary>
    private static void TakeLengths(GraphProto graph)
    {
        var mask = graph.Input.Single(i => i.Name == GenerationGraph.AttentionMask);
        mask.Name = PastLengths;
        mask.Type.TensorType.Shape.Dim[1] = new() { DimValue = 1 };
        string keys = graph.Node.Single(n => n.OpType == "ReduceSum" && n.Input[0] == GenerationGraph.AttentionMask).Output[0];
        foreach (var less in graph.Node.Where(n => n.OpType == "Sub" && n.Input[0] == keys)) graph.Redirect(less.Output[0], PastLengths);
        foreach (var least in graph.Node.Where(n => n.OpType == "Max" && n.Input[0] == PastLengths)) graph.Redirect(least.Output[0], PastLengths);
    }

    /// <summary>x − x is 0 only for a finite x. Gathering is how the score is found without a reduction that wants cuDNN.</summary>
    private static void GiveBest(GraphProto graph)
    {
        string best = Node("ArgMax", [GenerationGraph.Logits], ("axis", 2), ("keepdims", 1)), score = Node("GatherElements", [GenerationGraph.Logits, best], ("axis", 2));
        string finite = Node("Equal", [Node("Sub", [score, score]), Constant(graph, "zero", ElementType.Float, BitConverter.GetBytes(0f))]);
        Node("Where", [finite, best, Constant(graph, "none", ElementType.Int64, BitConverter.GetBytes(-1L))]);
        graph.Node[^1].Output[0] = BestTokens;
        var shape = new TensorShapeProto { Dim = { graph.Output.Single(o => o.Name == GenerationGraph.Logits).Type.TensorType.Shape.Dim[0].Clone(), new TensorShapeProto.Types.Dimension { DimValue = 1 }, new TensorShapeProto.Types.Dimension { DimValue = 1 } } };
        graph.Output.Add(new ValueInfoProto { Name = BestTokens, Type = new() { TensorType = new() { ElemType = (int)ElementType.Int64, Shape = shape } } });

        string Node(string op, string[] inputs, params (string Name, long Value)[] attributes)
        {
            string output = $"{BestTokens}/{op}";
            var node = new NodeProto { OpType = op, Name = output, Output = { output } };
            node.Input.AddRange(inputs);
            node.Attribute.AddRange(attributes.Select(a => new AttributeProto { Name = a.Name, I = a.Value, Type = AttributeProto.Types.AttributeType.Int }));
            graph.Node.Add(node);
            return output;
        }
    }

    /// <summary>A tensor [1].</summary>
    private static string Constant(GraphProto graph, string name, ElementType type, byte[] value)
    {
        string unique = $"{BestTokens}/{name}";
        graph.Initializer.Add(new TensorProto { Name = unique, DataType = (int)type, Dims = { 1 }, RawData = UnsafeByteOperations.UnsafeWrap(value) });
        return unique;
    }

    /// <summary>Float32 stays what it is: not for the provider, whose attention lacks it, but the CPU then computes what the rest of the rewriting leaves.</summary>
    private static ModelProto Narrow(ModelProto model, ElementType type)
    {
        var copy = model.Clone();
        var graph = copy.Graph;
        CudaCache.Widen(copy);
        CudaCache.ShareScales(graph);
        if (type == ElementType.Float) return copy;
        var wide = graph.Node.Where(n => n.OpType == CachedAttention.Int8Plain.Name || n.OpType == CachedAttention.Int8Rotary.Name).SelectMany(n => n.Input.TakeLast(CachedAttention.ScaleCount)).Append(CudaCache.Scale).ToHashSet();
        foreach (var tensor in graph.Initializer.Where(t => IsFloat(t) && !wide.Contains(t.Name))) Narrow(tensor, type);
        foreach (var tensor in graph.Node.SelectMany(n => n.Attribute).Where(a => a.T is not null && IsFloat(a.T))) Narrow(tensor.T, type);
        foreach (var value in graph.Input.Concat(graph.Output).Where(v => v.Type.TensorType.ElemType == (int)ElementType.Float)) value.Type.TensorType.ElemType = (int)type;
        foreach (string output in (string[])[GenerationGraph.Logits, GenerationGraph.HiddenStates])
            if (graph.Output.Any(o => o.Name == output)) Widen(graph, output);
        return copy;
    }

    /// <summary>An output in float32, cast from what computes it.</summary>
    private static void Widen(GraphProto graph, string output)
    {
        string narrow = $"{output}.narrow";
        foreach (var names in graph.Node.SelectMany(n => new[] { n.Input, n.Output }))
            for (int i = 0; i < names.Count; i++)
                if (names[i] == output) names[i] = narrow;
        var to = new AttributeProto { Name = "to", I = (long)ElementType.Float, Type = AttributeProto.Types.AttributeType.Int };
        graph.Node.Add(new NodeProto { OpType = "Cast", Name = $"{output}/Cast", Input = { narrow }, Output = { output }, Attribute = { to } });
        graph.Output.Single(o => o.Name == output).Type.TensorType.ElemType = (int)ElementType.Float;
    }

    private static bool IsFloat(TensorProto tensor) => tensor.DataType == (int)ElementType.Float;

    private static void Narrow(TensorProto tensor, ElementType type)
    {
        var values = tensor.RawData.IsEmpty ? tensor.FloatData.ToArray() : MemoryMarshal.Cast<byte, float>(tensor.RawData.Span);
        ushort[] narrow = new ushort[values.Length];
        for (int i = 0; i < narrow.Length; i++) narrow[i] = type == ElementType.Float16 ? BitConverter.HalfToUInt16Bits((Half)values[i]) : BFloat16.Round(values[i]);
        tensor.FloatData.Clear();
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(MemoryMarshal.AsBytes(narrow.AsSpan()).ToArray());
        tensor.DataType = (int)type;
    }
}
