using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.EncoderDecoders;

/// <summary>
/// The graph that writes, of an encoder-decoder: one more token for each row.
/// <para>Inputs: <c>input_ids</c> int64 [batch, 1], what was written last; <c>past_length</c> int64 [batch], how much was written before that; <c>past_key_values.N.key</c> and
/// <c>.value</c> [batch, length, H·K], longer than every past; <c>cross.N.key</c> and <c>.value</c> [batch, source, H·K] as <see cref="EncoderGraph"/> gives them, and the
/// <c>encoder_attention_mask</c> int64 [batch, source] that it was given.</para>
/// <para>Outputs: <c>logits</c> [batch, V]; <c>present.N.key</c> and <c>.value</c>, the caches with the new token at the end of each row's past. Past and present may be bound to
/// the same memory.</para>
/// </summary>
public static class DecoderGraph
{
    public const string InputIds = "input_ids", PastLength = "past_length", EncoderAttentionMask = "encoder_attention_mask", Logits = "logits";

    public static string PastKey(int layer) => FormattableString.Invariant($"past_key_values.{layer}.key");

    public static string PastValue(int layer) => FormattableString.Invariant($"past_key_values.{layer}.value");

    public static string PresentKey(int layer) => FormattableString.Invariant($"present.{layer}.key");

    public static string PresentValue(int layer) => FormattableString.Invariant($"present.{layer}.value");

    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var g = new GraphBuilder("decoder");
        var ids = g.Input(InputIds, ElementType.Int64, ["batch", 1]);
        var past = g.Input(PastLength, ElementType.Int64, ["batch"]);
        var parts = new WritingParts(g, config.Validated(), past, g.Input(EncoderAttentionMask, ElementType.Int64, ["batch", "source"]));
        g.Output(Logits, new EncoderDecoder(config).Logits(parts, ids, [.. Enumerable.Range(0, config.DecoderLayers).Select(layer => (Cross(EncoderGraph.CrossKey(layer)), Cross(EncoderGraph.CrossValue(layer))))]));
        foreach (var (layer, (key, value)) in parts.Presents.Index())
        {
            g.Output(PresentKey(layer), key);
            g.Output(PresentValue(layer), value);
        }
        return OnnxWriter.Write(g.Build(), parts.Read(weights));

        Value Cross(string name) => g.Input(name, ElementType.Float, ["batch", "source", config.QueryWidth]);
    }
}
