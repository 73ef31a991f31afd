using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Encoders;

/// <summary>
/// The graph of an encoder that finds hidden tokens, for any batch, under the names of Hugging Face's exports.
/// <para>Inputs: <c>input_ids</c> int64 [batch, sequence]; <c>attention_mask</c> the same, 1 for a token and 0 for padding, which may stand anywhere.
/// <c>token_type_ids</c>, the same, may be left out: all tokens are then of segment 0. So may <c>logits_mask</c>, 1 where scores are wanted: without it, everywhere.</para>
/// <para>Output: <c>logits</c> [n, V], the wanted scores row by row; without <c>logits_mask</c> n is batch·sequence.</para>
/// <para>Matrices are [in, out]; queries, keys and values are one matrix <c>qkv</c>; tables are [V, D].</para>
/// </summary>
public static class MaskedLmGraph
{
    public const string InputIds = "input_ids", AttentionMask = "attention_mask", TokenTypeIds = "token_type_ids", LogitsMask = "logits_mask", Logits = "logits";

    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var g = new GraphBuilder("masked-lm");
        var (ids, mask, types) = EncoderInputs.Declare(g);
        var parts = new EncoderParts(g, config.Validated(), ids, mask, EncoderInputs.Optional(g, LogitsMask, 1, ids));
        g.Output(Logits, new Encoder(config, parts).Logits(ids, types));
        return OnnxWriter.Write(g.Build(), parts.Read(weights));
    }
}
