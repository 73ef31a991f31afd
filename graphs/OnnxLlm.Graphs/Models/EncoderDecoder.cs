namespace OnnxLlm.Graphs.Models;

/// <summary>
/// The forward pass of an encoder-decoder as expressions over values: T5 (Raffel et al. 2020), under the names of Hugging Face's <c>T5ForConditionalGeneration</c>. It owns the
/// order of the parts; how each is computed is left to the parts: those of the encoder read, those of the decoder write.
/// Shape letters: B batch, S tokens that are read, T tokens that are written, D width, H heads, K head size, F feed-forward, V vocabulary.
/// </summary>
internal sealed class EncoderDecoder(ModelConfig config)
{
    private const string Words = "shared";

    /// <summary>What the encoder makes [.., D] of the <paramref name="ids"/> [B, S].</summary>
    public Value Encode<TParts>(TParts parts, Value ids) where TParts : ModelParts, IEncoderDecoderParts
    {
        var x = parts.Rows(parts.Embedding(Words, ids));    // [.., D]
        for (int layer = 0; layer < config.Layers; layer++)
        {
            using var scope = parts.Scope($"encoder.block.{layer}");
            x = SelfAttention(parts, x, layer);
            x = FeedForward(parts, x, "layer.1");
        }
        return parts.RmsNorm(ref x, "encoder.final_layer_norm");
    }

    /// <summary>Keys and values, for each block of the decoder, of what was <paramref name="encoded"/>; each is made when it is asked for.</summary>
    public IEnumerable<(Value Key, Value Value)> Memories<TParts>(TParts parts, Value encoded) where TParts : ModelParts, IEncoderDecoderParts =>
        Enumerable.Range(0, config.DecoderLayers).Select(layer =>
        {
            using var scope = parts.Scope($"decoder.block.{layer}");
            return parts.Memory(encoded, Of("layer.1.EncDecAttention.k"), Of("layer.1.EncDecAttention.v"));
        });

    /// <summary>Scores [.., V] of the next token after each of the <paramref name="ids"/> [B, T].</summary>
    /// <param name="memories">As <see cref="Memories"/> makes them.</param>
    public Value Logits<TParts>(TParts parts, Value ids, IEnumerable<(Value Key, Value Value)> memories) where TParts : ModelParts, IEncoderDecoderParts
    {
        var x = parts.Rows(parts.Embedding(Words, ids));    // [.., D]
        foreach (var (layer, memory) in memories.Index())
        {
            using var scope = parts.Scope($"decoder.block.{layer}");
            x = SelfAttention(parts, x, layer);
            x = CrossAttention(parts, x, memory);
            x = FeedForward(parts, x, "layer.2");
        }
        x = parts.RmsNorm(ref x, "decoder.final_layer_norm");
        return config.TiedEmbeddings ? parts.Head(x * Math.Pow(config.Width, -0.5), Words) : parts.Head(x, "lm_head");    // [.., V]
    }

    /// <summary>The first block's table of distances serves all blocks of its stack.</summary>
    private Value SelfAttention<TParts>(TParts parts, Value x, int layer) where TParts : ModelParts, IEncoderDecoderParts
    {
        var h = parts.RmsNorm(ref x, "layer.0.layer_norm");
        if (layer == 0) parts.LearnDistances("layer.0.SelfAttention.relative_attention_bias");
        h = parts.Attention(h, Of("layer.0.SelfAttention.q"), Of("layer.0.SelfAttention.k"), Of("layer.0.SelfAttention.v"));    // [.., H*K]
        return x + parts.Linear(h, new("layer.0.SelfAttention.o", config.Width));
    }

    private Value CrossAttention<TParts>(TParts parts, Value x, (Value Key, Value Value) memory) where TParts : ModelParts, IEncoderDecoderParts
    {
        var h = parts.RmsNorm(ref x, "layer.1.layer_norm");
        h = parts.CrossAttention(h, Of("layer.1.EncDecAttention.q"), memory);    // [.., H*K]
        return x + parts.Linear(h, new("layer.1.EncDecAttention.o", config.Width));
    }

    private Value FeedForward(ModelParts parts, Value x, string name)
    {
        var h = parts.RmsNorm(ref x, $"{name}.layer_norm");
        h = config.GatedFeedForward ? parts.Gelu(Inner("wi_0")) * Inner("wi_1") : parts.Relu(Inner("wi"));    // [.., F]
        return x + parts.Linear(h, new($"{name}.DenseReluDense.wo", config.Width));

        Value Inner(string matrix) => parts.Linear(h, new($"{name}.DenseReluDense.{matrix}", config.FeedForward));
    }

    private Projection Of(string name) => new(name, config.QueryWidth);    // [.., H*K]
}
