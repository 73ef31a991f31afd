using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs.Models;

/// <summary>What <c>config.json</c> of a T5 has beside, or instead of, what the other families have.</summary>
internal static class T5ConfigJson
{
    private const string Decoders = "num_decoder_layers", HeadSize = "d_kv", Buckets = "relative_attention_num_buckets", MaxDistance = "relative_attention_max_distance";
    private const string Start = "decoder_start_token_id", Initializer = "initializer_factor", Plain = "relu", Gated = "gated-gelu";

    public static ConfigNames Names { get; } = new(
        "d_model", "num_layers", "num_heads", "num_heads", "d_ff", "n_positions", "layer_norm_epsilon", "feed_forward_proj");

    /// <summary>The sizes that only this family has.</summary>
    public static IEnumerable<(string Name, int Value)> Sizes(ModelConfig c) =>
        [(Decoders, c.DecoderLayers), (HeadSize, c.HeadSize), (Buckets, c.RelativeBuckets), (MaxDistance, c.RelativeMaxDistance)];

    public static ModelConfig Read(JsonFields fields)
    {
        int layers = fields.Int(Names.Layers), heads = fields.Int(Names.Heads);
        fields.Ignore("use_cache", "classifier_dropout", "task_specific_params", "output_past", "dense_act_fn", "is_gated_act");
        fields.Only("is_encoder_decoder", true);
        return new()
        {
            Family = ModelFamily.T5,
            VocabularySize = fields.Int("vocab_size"),
            Width = fields.Int(Names.Width),
            Layers = layers,
            DecoderLayers = fields.Int(Decoders, layers),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = fields.Int(HeadSize, 64),
            FeedForward = fields.Int(Names.FeedForward),
            GatedFeedForward = IsGated(fields),
            MaxPositions = fields.Int(Names.MaxPositions, 512),
            RelativeBuckets = fields.Int(Buckets, 32),
            RelativeMaxDistance = fields.Int(MaxDistance, 128),
            NormEpsilon = fields.Number(Names.NormEpsilon, 1e-6),
            TiedEmbeddings = fields.Flag("tie_word_embeddings", true),
            InitializerRange = fields.Number(Initializer, 1),
            BosTokenId = fields.Token("bos_token_id"),
            EosTokenId = fields.Token("eos_token_id"),
            PadTokenId = fields.Token("pad_token_id"),
            DecoderStartTokenId = fields.Token(Start),
        };
    }

    /// <summary>What <see cref="ModelConfigJson.Write"/> leaves out.</summary>
    public static void Write(ModelConfig c, JsonObject json)
    {
        json[Names.Activation] = c.GatedFeedForward ? Gated : Plain;
        json["is_encoder_decoder"] = true;
        json[Initializer] = c.InitializerRange;
        json["pad_token_id"] = c.PadTokenId;
        json[Start] = c.DecoderStartTokenId;
    }

    /// <summary>What of the sizes does not fit together.</summary>
    public static IEnumerable<string> Mistakes(ModelConfig c)
    {
        if (c.RelativeBuckets % 2 != 0 || c.RelativeBuckets < 4) yield return $"'{Buckets}' must be even and at least 4, got {c.RelativeBuckets}.";
        if (c.RelativeMaxDistance <= c.RelativeBuckets / 2) yield return $"'{MaxDistance}' {c.RelativeMaxDistance} must be more than half of '{Buckets}' {c.RelativeBuckets}.";
        if (c.DecoderStartTokenId < 0 || c.DecoderStartTokenId >= c.VocabularySize) yield return $"'{Start}' {c.DecoderStartTokenId} is outside the vocabulary of {c.VocabularySize}.";
    }

    private static bool IsGated(JsonFields fields)
    {
        string kind = fields.Has(Names.Activation) ? fields.Text(Names.Activation) ?? Plain : Plain;
        if (kind is not (Plain or Gated)) fields.Mistakes.Add($"'{Names.Activation}' \"{kind}\" is not supported, only \"{Plain}\" and \"{Gated}\".");
        return kind == Gated;
    }
}
