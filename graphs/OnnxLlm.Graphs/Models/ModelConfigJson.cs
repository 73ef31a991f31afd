using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs.Models;

/// <summary>The names that a family gives to the sizes of a model in <c>config.json</c>.</summary>
internal sealed record ConfigNames(
    string Width, string Layers, string Heads, string KeyValueHeads, string FeedForward, string MaxPositions, string NormEpsilon, string Activation)
{
    public (string Name, int Value)[] Sizes(ModelConfig c) =>
    [
        ("vocab_size", c.VocabularySize), (Width, c.Width), (Layers, c.Layers), (Heads, c.Heads), (KeyValueHeads, c.KeyValueHeads),
        (FeedForward, c.FeedForward), (MaxPositions, c.MaxPositions), .. c.IsEncoderDecoder ? T5ConfigJson.Sizes(c) : [],
        .. c.IsEncoder ? [(ModelConfigJson.TypeVocabulary, c.TypeVocabularySize)] : ReadOnlySpan<(string, int)>.Empty,
    ];
}

/// <summary>Reads and writes <see cref="ModelConfig"/> in Hugging Face's form.</summary>
internal static class ModelConfigJson
{
    private static readonly ConfigNames Gpt2 = new(
        "n_embd", "n_layer", "n_head", "n_head", "n_inner", "n_positions", "layer_norm_epsilon", "activation_function");

    private static readonly ConfigNames Llama = new(
        "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "max_position_embeddings", "rms_norm_eps",
        "hidden_act");

    private static readonly ConfigNames Bert = new(
        "hidden_size", "num_hidden_layers", "num_attention_heads", "num_attention_heads", "intermediate_size", "max_position_embeddings", "layer_norm_eps", "hidden_act");

    private static readonly (ModelFamily Family, string Type, string Architecture)[] Families =
    [
        (ModelFamily.Gpt2, "gpt2", "GPT2LMHeadModel"), (ModelFamily.Llama, "llama", "LlamaForCausalLM"), (ModelFamily.Qwen2, "qwen2", "Qwen2ForCausalLM"),
        (ModelFamily.Bert, "bert", "BertForMaskedLM"), (ModelFamily.T5, "t5", "T5ForConditionalGeneration"),
    ];

    private const string Classifier = "BertForSequenceClassification";

    public static string TypeOf(ModelFamily family) => Families.First(f => f.Family == family).Type;

    public static ConfigNames NamesOf(ModelFamily family) => family switch
    {
        ModelFamily.Gpt2 => Gpt2,
        ModelFamily.Bert => Bert,
        ModelFamily.T5 => T5ConfigJson.Names,
        _ => Llama,
    };

    public static ModelConfig Parse(JsonElement json, bool strict)
    {
        if (json.ValueKind != JsonValueKind.Object) throw new GraphException($"A model configuration is a JSON object, not {json.ValueKind}.");
        if (json.TryGetProperty("preset", out var preset)) return Parse(Overlay(preset, json), strict);

        var fields = new JsonFields(json);
        var config = ReadFamily(fields) is { } family ? Read(fields, family) : null;
        if (strict && config is not null) fields.RejectUnknown();
        if (strict) fields.Mistakes.AddRange(DropoutsOf(json).Select(name => $"'{name}' must be 0: dropout is left out."));
        string[] mistakes = [.. fields.Mistakes, .. fields.Mistakes.Count == 0 ? config!.Mistakes() : []];
        return mistakes.Length == 0 ? config! : throw new GraphException($"Model configuration: {string.Join(" ", mistakes)}");
    }

    /// <summary>The probabilities of dropout in a config that are not 0.</summary>
    public static IEnumerable<string> DropoutsOf(JsonElement json) => Enum.GetValues<ModelFamily>().SelectMany(DropoutsOf).Distinct()
        .Where(name => json.TryGetProperty(name, out var share) && share.ValueKind == JsonValueKind.Number && share.GetDouble() != 0);

    public static JsonObject Write(ModelConfig c)
    {
        var names = NamesOf(c.Family);
        var json = new JsonObject { ["architectures"] = new JsonArray(c.IsClassifier ? Classifier : Families.First(f => f.Family == c.Family).Architecture), ["model_type"] = c.ModelType };
        foreach (var (name, value) in names.Sizes(c)) json[name] = value;
        if (!c.IsEncoderDecoder) json[names.Activation] = ActivationOf(c.Family);
        json[names.NormEpsilon] = c.NormEpsilon;
        if (c.IsRotary) json["rope_theta"] = c.RopeTheta;
        else foreach (string dropout in DropoutsOf(c.Family)) json[dropout] = 0.0;    // Hugging Face's default is another
        if (c.IsEncoder) json["pad_token_id"] = c.PadTokenId;
        if (c.IsClassifier) ModelLabels.Write(c.Labels, json);
        if (c.IsEncoderDecoder) T5ConfigJson.Write(c, json);
        else json["initializer_range"] = c.InitializerRange;
        json["bos_token_id"] = c.BosTokenId;
        json["eos_token_id"] = c.EosTokenId;
        json["tie_word_embeddings"] = c.TiedEmbeddings;
        json["torch_dtype"] = "float32";
        return json;
    }

    internal const string TypeVocabulary = "type_vocab_size";

    private static string[] DropoutsOf(ModelFamily family) => family switch
    {
        ModelFamily.Gpt2 => ["attn_pdrop", "embd_pdrop", "resid_pdrop"],
        ModelFamily.Bert => ["hidden_dropout_prob", "attention_probs_dropout_prob"],
        ModelFamily.T5 => ["dropout_rate"],
        _ => ["attention_dropout"],
    };

    private static string ActivationOf(ModelFamily family) => family switch
    {
        ModelFamily.Gpt2 => "gelu_new",
        ModelFamily.Bert => "gelu",
        _ => "silu",
    };

    private static double EpsilonOf(ModelFamily family) => family switch
    {
        ModelFamily.Gpt2 => 1e-5,
        ModelFamily.Bert => 1e-12,
        _ => 1e-6,
    };

    private static JsonElement Overlay(JsonElement preset, JsonElement changes)
    {
        if (preset.ValueKind != JsonValueKind.String) throw new GraphException("Model configuration: 'preset' must be a name.");
        var merged = ModelPresets.Find(preset.GetString()!).ToJson();
        foreach (var property in changes.EnumerateObject())
            if (property.Name != "preset") merged[property.Name] = JsonSerializer.SerializeToNode(property.Value);
        return JsonSerializer.SerializeToElement(merged);
    }

    private static ModelFamily? ReadFamily(JsonFields fields)
    {
        string? type = fields.Text("model_type");
        if (type is null || Families.Any(f => f.Type == type)) return type is null ? null : Families.First(f => f.Type == type).Family;
        fields.Mistakes.Add($"'model_type' is '{type}'; known are {string.Join(", ", Families.Select(f => f.Type))}.");
        return null;
    }

    private static ModelConfig Read(JsonFields fields, ModelFamily family)
    {
        if (family == ModelFamily.T5) return ReadT5(fields);
        var names = NamesOf(family);
        int width = fields.Int(names.Width), heads = fields.Int(names.Heads);
        RefuseUnsupported(fields, family, names, headSize: heads > 0 ? width / heads : 0);
        var (rotary, encoder) = (family is ModelFamily.Llama or ModelFamily.Qwen2, family == ModelFamily.Bert);
        return new()
        {
            Family = family,
            VocabularySize = fields.Int("vocab_size"),
            Width = width,
            Layers = fields.Int(names.Layers),
            Heads = heads,
            KeyValueHeads = rotary ? fields.Int(names.KeyValueHeads, heads) : heads,
            FeedForward = rotary ? fields.Int(names.FeedForward) : fields.Int(names.FeedForward, 4 * width),
            MaxPositions = fields.Int(names.MaxPositions),
            TypeVocabularySize = encoder ? fields.Int(TypeVocabulary, 2) : 0,
            NormEpsilon = fields.Number(names.NormEpsilon, EpsilonOf(family)),
            RopeTheta = rotary ? fields.Number("rope_theta", 10_000) : 10_000,
            TiedEmbeddings = fields.Flag("tie_word_embeddings", !rotary),
            InitializerRange = fields.Number("initializer_range", 0.02),
            BosTokenId = fields.Token("bos_token_id"),
            EosTokenId = fields.Token("eos_token_id"),
            PadTokenId = encoder ? fields.Token("pad_token_id") : null,
            Labels = encoder && fields.Names("architectures").Contains(Classifier) ? ModelLabels.Read(fields) : [],
        };
    }

    private static ModelConfig ReadT5(JsonFields fields)
    {
        IgnoreDetails(fields, ModelFamily.T5);
        return T5ConfigJson.Read(fields);
    }

    /// <summary>Settings of the families that change the arithmetic and that we do not have: better refused than silently wrong.</summary>
    private static void RefuseUnsupported(JsonFields fields, ModelFamily family, ConfigNames names, int headSize)
    {
        IgnoreDetails(fields, family);
        fields.Only(names.Activation, ActivationOf(family));
        if (family == ModelFamily.Bert)
        {
            fields.Ignore("classifier_dropout", ModelLabels.ToId, "use_cache", "gradient_checkpointing");
            fields.Only("position_embedding_type", "absolute");
            fields.Only("problem_type", "single_label_classification");
            fields.Only("is_decoder", false);
            fields.Only("tie_word_embeddings", true);
            return;
        }
        if (family == ModelFamily.Gpt2)
        {
            fields.Ignore("n_ctx");
            fields.Only("scale_attn_weights", true);
            fields.Only("scale_attn_by_inverse_layer_idx", false);
            fields.Only("reorder_and_upcast_attn", false);
            return;
        }
        fields.Only("attention_bias", family == ModelFamily.Qwen2);
        fields.Only("mlp_bias", false);
        fields.Only("use_sliding_window", false);
        fields.Only("rope_scaling", null);
        fields.Only("head_dim", headSize);
    }

    /// <summary>What changes nothing here; dropout is looked at apart.</summary>
    private static void IgnoreDetails(JsonFields fields, ModelFamily family)
    {
        fields.Ignore("architectures", "torch_dtype", "dtype", "transformers_version");
        fields.Ignore(DropoutsOf(family));
    }
}
