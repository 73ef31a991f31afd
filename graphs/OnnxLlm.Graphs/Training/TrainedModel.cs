using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Training;

/// <summary>The forward pass of the config's family with gradients in mind: a decoder, an encoder and its mask, or both and what the decoder reads.</summary>
internal static class TrainedModel
{
    /// <summary>Input of graphs of encoders: int64 [B, T], 1 for a token, 0 for padding.</summary>
    internal const string AttentionMask = "attention_mask";

    /// <summary>Input of graphs of encoder-decoders: int64 [B, T], the text that is to be written, each token one place later, behind the one that begins it.</summary>
    internal const string DecoderInputIds = "decoder_input_ids";

    /// <summary>Logits [B*T, V], of a classifier [B, C]; declares the parameters, and the mask where there is one.</summary>
    /// <param name="ids">int64 [B, T].</param>
    internal static Value Logits(GraphBuilder g, ModelConfig config, TrainingShape shape, Value ids)
    {
        if (config.IsDecoder) return new Decoder(config, new TrainingParts(g, config, shape)).Logits(ids);
        var mask = g.Input(AttentionMask, ElementType.Int64, [shape.Batch, shape.Time]);
        if (config.IsEncoderDecoder) return Written(g, config, shape, ids, mask);
        return new Encoder(config, new EncoderTrainingParts(g, config, shape, mask)).Logits(ids, types: OneSegment(g));
    }

    /// <summary>Input <c>labels</c>: of every token int64 [B, T], of a classifier of every sequence [B]; returned as one row of them.</summary>
    internal static Value Labels(GraphBuilder g, ModelConfig config, TrainingShape shape) => config.IsClassifier
        ? g.Input("labels", ElementType.Int64, [shape.Batch])
        : g.Reshape(g.Input("labels", ElementType.Int64, [shape.Batch, shape.Time]), [shape.Rows]);

    private static Value Written(GraphBuilder g, ModelConfig config, TrainingShape shape, Value ids, Value mask)
    {
        var (model, hidden) = (new EncoderDecoder(config), EncoderDecoderTrainingParts.Hidden(g, mask));
        var written = g.Input(DecoderInputIds, ElementType.Int64, [shape.Batch, shape.Time]);
        var reads = new EncoderDecoderTrainingParts(g, config, shape, hidden, decodes: false);
        var writes = new EncoderDecoderTrainingParts(g, config, shape, hidden, decodes: true) { Sharing = reads };
        return model.Logits(writes, written, model.Memories(writes, model.Encode(reads, ids)));
    }

    private static Value OneSegment(GraphBuilder g) => g.Constant(TensorData.Of<long>(ElementType.Int64, [1, 1], [0]));
}
