using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.EncoderDecoders;

/// <summary>
/// The graph that reads, of an encoder-decoder.
/// <para>Inputs: <c>input_ids</c> int64 [batch, source]; <c>attention_mask</c> the same, 1 for a token and 0 for padding, which may stand anywhere.</para>
/// <para>Outputs: <c>last_hidden_state</c> [batch, source, D]; <c>cross.N.key</c> and <c>.value</c> [batch, source, H·K], what block N of the decoder looks at.</para>
/// <para>Matrices are [in, out]; queries, keys and values are one matrix <c>qkv</c>, keys and values for the decoder one <c>kv</c>; tables are [V, D].</para>
/// </summary>
public static class EncoderGraph
{
    public const string InputIds = "input_ids", AttentionMask = "attention_mask", HiddenStates = "last_hidden_state";

    public static string CrossKey(int layer) => FormattableString.Invariant($"cross.{layer}.key");

    public static string CrossValue(int layer) => FormattableString.Invariant($"cross.{layer}.value");

    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var g = new GraphBuilder("encoder");
        var ids = g.Input(InputIds, ElementType.Int64, ["batch", "source"]);
        var parts = new ReadingParts(g, config.Validated(), ids, g.Input(AttentionMask, ElementType.Int64, ["batch", "source"]));
        var model = new EncoderDecoder(config);
        var encoded = model.Encode(parts, ids);
        g.Output(HiddenStates, encoded);
        foreach (var (layer, (key, value)) in model.Memories(parts, encoded).Index())
        {
            g.Output(CrossKey(layer), key);
            g.Output(CrossValue(layer), value);
        }
        return OnnxWriter.Write(g.Build(), parts.Read(weights));
    }
}
