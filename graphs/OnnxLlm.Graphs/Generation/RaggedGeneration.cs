using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// A generation model whose new tokens all stand in one row, <c>input_ids</c> [1, N], whatever sequences they belong to: in place of a mask each has its slot in the cache and its
/// position there. The caches have a row for every slot. <c>logits_at</c> picks the tokens whose scores are wanted. One pass then reads pieces of prompts and decodes other sequences.
/// </summary>
public static class RaggedGeneration
{
    /// <summary>Inputs, int64 [1, N].</summary>
    public const string TokenSlots = "token_slots", TokenPositions = "token_positions";

    private static readonly HashSet<string> Forms = [.. CachedAttention.Forms.Select(form => form.Name)];

    /// <summary>The model, which is changed; null where its attention is not ours, or it gives the scores of its last token only: then nothing is changed.</summary>
    public static ModelProto? Of(ModelProto model)
    {
        var graph = model.Graph;
        NodeProto[] attentions = [.. graph.Node.Where(node => node.Domain == Function.Domain && Forms.Contains(node.OpType))];
        ValueInfoProto[] caches = [.. graph.Input.Where(input => input.Name is not (GenerationGraph.InputIds or GenerationGraph.AttentionMask or GenerationGraph.LogitsAt))];
        if (graph.Input.All(input => input.Name != GenerationGraph.LogitsAt) || !attentions.SelectMany(node => node.Input.Skip(1).Take(2)).ToHashSet().SetEquals(caches.Select(cache => cache.Name))) return null;
        foreach (var cache in caches) cache.Type.TensorType.Shape.Dim[0] = new() { DimParam = "slots" };
        foreach (var node in attentions) (node.OpType, node.Input[3], node.Input[4]) = (RaggedAttention.NameOf(node.OpType), TokenSlots, TokenPositions);
        var ranges = graph.Node.Where(node => node.OpType == "Range").Select(node => node.Output[0]).ToHashSet();
        foreach (var positions in graph.Node.Where(node => node.OpType == "Add" && node.Input.Any(ranges.Contains)).ToList()) graph.Redirect(positions.Output[0], TokenPositions);
        CountAll(graph);
        graph.Input.Add(Tokens(TokenSlots));
        graph.Input.Add(Tokens(TokenPositions));
        graph.RemoveUnread();
        return model;
    }

    /// <summary>What is left of the mask is how many tokens are new: all of the row, whose mask is ones.</summary>
    private static void CountAll(GraphProto graph)
    {
        const string extents = GenerationGraph.InputIds + ".extents", ones = GenerationGraph.InputIds + ".ones";
        graph.Redirect(GenerationGraph.AttentionMask, ones);
        var one = new AttributeProto { Name = "value", T = OnnxWriter.WriteTensor("one", TensorData.Int64s(1)), Type = AttributeProto.Types.AttributeType.Tensor };
        graph.Node.Insert(0, new NodeProto { OpType = "ConstantOfShape", Name = ones, Input = { extents }, Output = { ones }, Attribute = { one } });
        graph.Node.Insert(0, new NodeProto { OpType = "Shape", Name = extents, Input = { GenerationGraph.InputIds }, Output = { extents } });
    }

    private static ValueInfoProto Tokens(string name) => new()
    {
        Name = name,
        Type = new() { TensorType = new() { ElemType = (int)ElementType.Int64, Shape = new() { Dim = { new TensorShapeProto.Types.Dimension { DimValue = 1 }, new TensorShapeProto.Types.Dimension { DimParam = "sequence" } } } } },
    };
}
