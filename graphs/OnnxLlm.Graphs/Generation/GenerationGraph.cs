using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// The graph that answers: prefill and decode of any batch in one file, with the names that ONNX Runtime GenAI expects, from operators that every
/// ONNX Runtime has.
/// <para>Inputs: <c>input_ids</c> int64 [batch, sequence], the new tokens; <c>attention_mask</c> int64 [batch, total], ones for the past and new tokens
/// of a row, then zeros; <c>past_key_values.N.key</c> and <c>.value</c> [batch, G, past, K].</para>
/// <para>Outputs: <c>logits</c> [batch, 1, V] after the last token of each row; <c>present.N.key</c> and <c>.value</c>. With past and present bound to one
/// buffer of the longest length the new keys are written behind the old ones.</para>
/// <para>Matrices are [in, out]; queries, keys and values are one matrix <c>qkv_proj</c>, gate and up one <c>gate_up_proj</c>; tables are [V, D].</para>
/// <para>A call is a prefill of rows without a past (padded on the right where they differ in length), one new token for each row, or several
/// new tokens for a single row with a past.</para>
/// </summary>
public static class GenerationGraph
{
    public const string InputIds = "input_ids", AttentionMask = "attention_mask", Logits = "logits";

    public static string PastKey(int layer) => FormattableString.Invariant($"past_key_values.{layer}.key");

    public static string PastValue(int layer) => FormattableString.Invariant($"past_key_values.{layer}.value");

    public static string PresentKey(int layer) => FormattableString.Invariant($"present.{layer}.key");

    public static string PresentValue(int layer) => FormattableString.Invariant($"present.{layer}.value");

    public static Graph Create(ModelConfig config) => Build(config).Graph;

    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var (graph, parts) = Build(config);
        return OnnxWriter.Write(graph, name => parts.Weights.TryGetValue(name, out var merged)
            ? merged.Read(weights)
            : weights(name) ?? throw new GraphException($"The weights lack '{name}'."));
    }

    /// <summary>A copy whose <c>logits</c> are those of every new token, [batch, sequence, V], for measuring. The model may be quantized.</summary>
    public static ModelProto WithAllLogits(ModelProto model)
    {
        var copy = model.Clone();
        var nodes = copy.Graph.Node;
        var select = nodes.FirstOrDefault(n => n.Name == GenerationParts.SelectNode);
        var restore = nodes.FirstOrDefault(n => n.Output.Contains(Logits));
        if (select is null || restore is null) throw new GraphException("The model is not a generation graph of ours: the choice of the last token is missing.");

        nodes[nodes.IndexOf(select)] = AllLogits.Flatten(select.Input[0], select.Output[0]);
        nodes.Remove(restore);
        nodes.AddRange(AllLogits.Unflatten(restore.Input[0]));
        copy.Graph.Output.Single(o => o.Name == Logits).Type.TensorType.Shape.Dim[1] = new() { DimParam = "sequence" };
        return copy;
    }

    private static (Graph Graph, GenerationParts Parts) Build(ModelConfig config)
    {
        var g = new GraphBuilder("generation");
        var ids = g.Input(InputIds, ElementType.Int64, ["batch", "sequence"]);
        var parts = new GenerationParts(g, config.Validated(), new Positions(g, ids));
        g.Output(Logits, new Decoder(config, parts).Logits(ids));    // [batch, 1, V]
        for (int layer = 0; layer < config.Layers; layer++)
        {
            g.Output(PresentKey(layer), parts.Presents[layer].Key);
            g.Output(PresentValue(layer), parts.Presents[layer].Value);
        }
        return (g.Build(), parts);
    }

    /// <summary>The nodes that stand in for the choice of the last token.</summary>
    private static class AllLogits
    {
        public static NodeProto Flatten(string x, string rows) => new()
        {
            OpType = "Flatten",
            Name = "all_logits/Flatten",
            Input = { x },
            Output = { rows },
            Attribute = { new AttributeProto { Name = "axis", I = 2, Type = AttributeProto.Types.AttributeType.Int } },
        };

        public static IEnumerable<NodeProto> Unflatten(string rows)
        {
            var rest = new AttributeProto { Name = "value_ints", Ints = { -1 }, Type = AttributeProto.Types.AttributeType.Ints };
            var axis = new AttributeProto { Name = "axis", I = 0, Type = AttributeProto.Types.AttributeType.Int };
            yield return new() { OpType = "Shape", Name = "all_logits/Shape", Input = { InputIds }, Output = { "all_logits.ids" } };
            yield return new() { OpType = "Constant", Name = "all_logits/Constant", Output = { "all_logits.rest" }, Attribute = { rest } };
            yield return new()
            {
                OpType = "Concat",
                Name = "all_logits/Concat",
                Input = { "all_logits.ids", "all_logits.rest" },
                Output = { "all_logits.shape" },
                Attribute = { axis },
            };
            yield return new() { OpType = "Reshape", Name = "all_logits/Reshape", Input = { rows, "all_logits.shape" }, Output = { Logits } };
        }
    }
}
