using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// The graph that answers: prefill and decode of any batch in one file, with the names that ONNX Runtime GenAI expects, from operators that every
/// ONNX Runtime has.
/// <para>Inputs: <c>input_ids</c> int64 [batch, sequence], the new tokens; <c>attention_mask</c> int64 [batch, total], ones for the past and new tokens
/// of a row, then zeros; <c>past_key_values.N.key</c> and <c>.value</c> [batch, G, past, K]. <c>logits_at</c> int64 [n] may be left out: after which of the
/// new tokens of each row scores are wanted, counted from its end; −1, the last, where nothing is given.</para>
/// <para>Outputs: <c>logits</c> [batch·n, 1, V]; <c>hidden_states</c> [batch, sequence, D], what scores are computed from, after the last norm;
/// <c>present.N.key</c> and <c>.value</c>. With past and present bound to one
/// buffer of the longest length the new keys are written behind the old ones.</para>
/// <para>Matrices are [in, out]; queries, keys and values are one matrix <c>qkv_proj</c>, gate and up one <c>gate_up_proj</c>; tables are [V, D].</para>
/// <para>A call is a prefill of rows without a past (padded on the right where they differ in length), one new token for each row, or several
/// new tokens for a single row with a past.</para>
/// </summary>
public static class GenerationGraph
{
    public const string InputIds = "input_ids", AttentionMask = "attention_mask", Logits = "logits", LogitsAt = "logits_at", HiddenStates = "hidden_states";

    public static string PastKey(int layer) => FormattableString.Invariant($"past_key_values.{layer}.key");

    public static string PastValue(int layer) => FormattableString.Invariant($"past_key_values.{layer}.value");

    public static string PresentKey(int layer) => FormattableString.Invariant($"present.{layer}.key");

    public static string PresentValue(int layer) => FormattableString.Invariant($"present.{layer}.value");

    public static Graph Create(ModelConfig config) => Build(config).Graph;

    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var (graph, parts) = Build(config);
        return OnnxWriter.Write(graph, parts.Read(weights));
    }

    private static (Graph Graph, GenerationParts Parts) Build(ModelConfig config)
    {
        var g = new GraphBuilder("generation");
        var ids = g.Input(InputIds, ElementType.Int64, ["batch", "sequence"]);
        var parts = new GenerationParts(g, config.Validated(), new Positions(g, ids));
        g.Output(Logits, new Decoder(config, parts).Logits(ids));    // [batch·n, 1, V]
        g.Output(HiddenStates, parts.Hidden!);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            g.Output(PresentKey(layer), parts.Presents[layer].Key);
            g.Output(PresentValue(layer), parts.Presents[layer].Value);
        }
        return (g.Build(), parts);
    }
}
