using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>The forward pass of the config's family with gradients in mind: a decoder, or an encoder and its mask.</summary>
internal static class TrainedModel
{
    /// <summary>Input of graphs of encoders: int64 [B, T], 1 for a token, 0 for padding.</summary>
    internal const string AttentionMask = "attention_mask";

    /// <summary>Logits [B*T, V], of a classifier [B, C]; declares the parameters, and the mask where there is one.</summary>
    /// <param name="ids">int64 [B, T].</param>
    internal static Value Logits(GraphBuilder g, ModelConfig config, TrainingShape shape, Value ids)
    {
        if (!config.IsEncoder) return new Decoder(config, new TrainingParts(g, config, shape)).Logits(ids);
        var mask = g.Input(AttentionMask, ElementType.Int64, [shape.Batch, shape.Time]);
        return new Encoder(config, new EncoderTrainingParts(g, config, shape, mask)).Logits(ids, types: OneSegment(g));
    }

    /// <summary>Input <c>labels</c>: of every token int64 [B, T], of a classifier of every sequence [B]; returned as one row of them.</summary>
    internal static Value Labels(GraphBuilder g, ModelConfig config, TrainingShape shape) => config.IsClassifier
        ? g.Input("labels", ElementType.Int64, [shape.Batch])
        : g.Reshape(g.Input("labels", ElementType.Int64, [shape.Batch, shape.Time]), [shape.Rows]);

    private static Value OneSegment(GraphBuilder g) => g.Constant(TensorData.Of<long>(ElementType.Int64, [1, 1], [0]));
}
