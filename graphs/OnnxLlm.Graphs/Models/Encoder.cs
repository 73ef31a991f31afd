namespace OnnxLlm.Graphs.Models;

/// <summary>
/// The forward pass of an encoder as expressions over values: BERT (Devlin et al. 2018) with its head for masked tokens or for labels, under the names of Hugging
/// Face's <c>BertForMaskedLM</c> and <c>BertForSequenceClassification</c>. It owns the order of the parts; how each is computed is left to <see cref="ModelParts"/>.
/// Shape letters: B batch, T time, D width, H heads, K head size, F feed-forward, V vocabulary, C labels.
/// </summary>
internal sealed class Encoder(ModelConfig config, ModelParts parts)
{
    private const string Words = "bert.embeddings.word_embeddings";

    /// <summary>
    /// Of the <paramref name="ids"/> [B, T], whose segments are <paramref name="types"/> [B, T] or [1, 1]: scores [.., V] of what stands at each place, or [B, C] of the
    /// labels of a classifier.
    /// </summary>
    public Value Logits(Value ids, Value types) => config.IsClassifier ? Classes(Hidden(ids, types)) : Predictions(Hidden(ids, types));

    /// <summary>Learned positions, and a norm behind each sum.</summary>
    private Value Hidden(Value ids, Value types)
    {
        var x = Embeddings(ids, types);    // [.., D]
        for (int layer = 0; layer < config.Layers; layer++)
        {
            using var scope = parts.Scope($"bert.encoder.layer.{layer}");
            var sum = x + Attention(x);
            x = parts.LayerNorm(ref sum, "attention.output.LayerNorm");
            sum = x + FeedForward(x);
            x = parts.LayerNorm(ref sum, "output.LayerNorm");
        }
        return x;
    }

    private Value Embeddings(Value ids, Value types)
    {
        var sum = parts.Embedding(Words, ids) + parts.LearnedPositions("bert.embeddings.position_embeddings");
        sum += parts.Embedding("bert.embeddings.token_type_embeddings", config.TypeVocabularySize, types);    // [B, T, D]
        sum = parts.Rows(sum);
        return parts.LayerNorm(ref sum, "bert.embeddings.LayerNorm");
    }

    private Value Attention(Value x)
    {
        Projection Of(string name) => new($"attention.self.{name}", config.Width, Bias: true);                              // [.., H*K]
        return parts.Linear(parts.Attention(x, Of("query"), Of("key"), Of("value")), new("attention.output.dense", config.Width, Bias: true));    // [.., D]
    }

    private Value FeedForward(Value x)
    {
        var h = parts.Gelu(parts.Linear(x, new("intermediate.dense", config.FeedForward, Bias: true)));    // [.., F]
        return parts.Linear(h, new("output.dense", config.Width, Bias: true));                             // [.., D]
    }

    /// <summary>A last transformation, then the products with the words themselves.</summary>
    private Value Predictions(Value x)
    {
        var h = parts.Gelu(parts.Linear(parts.Scored(x), new("cls.predictions.transform.dense", config.Width, Bias: true)));    // [.., D]
        h = parts.LayerNorm(ref h, "cls.predictions.transform.LayerNorm");
        return parts.Head(h, Words) + parts.Bias("cls.predictions.bias", config.VocabularySize);                  // [.., V]
    }

    /// <summary>The first token stands for its sequence.</summary>
    private Value Classes(Value x)
    {
        var pooled = parts.Graph.Tanh(parts.Linear(parts.Scored(x), new("bert.pooler.dense", config.Width, Bias: true)));    // [B, D]
        return parts.Linear(pooled, new("classifier", config.Labels.Length, Bias: true));                                    // [B, C]
    }
}
