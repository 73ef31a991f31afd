using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Graphs.Encoders;

/// <summary>
/// The graph of an encoder that gives texts labels, for any batch. Inputs as those of <see cref="MaskedLmGraph"/>, without <c>logits_mask</c>. Output: <c>logits</c> [batch, C], the score of
/// each label for each sequence, read off its first token.
/// </summary>
public static class ClassificationGraph
{
    /// <summary>The finished model: the graph with weights given under Hugging Face's names and in its layouts.</summary>
    public static ModelProto Export(ModelConfig config, WeightSource weights)
    {
        var g = new GraphBuilder("sequence-classification");
        var (ids, mask, types) = EncoderInputs.Declare(g);
        var parts = new EncoderParts(g, config.Validated(), ids, mask, wanted: null);
        g.Output(MaskedLmGraph.Logits, new Encoder(config, parts).Logits(ids, types));
        return OnnxWriter.Write(g.Build(), parts.Read(weights));
    }
}
