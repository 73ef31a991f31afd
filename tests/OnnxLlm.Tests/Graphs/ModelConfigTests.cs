using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tests.Graphs;

public sealed class ModelConfigTests
{
    public static TheoryData<string> Presets => [.. ModelPresets.Names];

    [Theory]
    [MemberData(nameof(Presets))]
    public void Preset_WrittenAndReadStrictly_IsEqual(string name)
    {
        var config = ModelConfig.Preset(name);
        Assert.Equal(config, ModelConfig.Parse(config.ToJson(), strict: true));
    }

    [Fact]
    public void HuggingFaceFile_IsRead_WithTheNamesOfItsFamily()
    {
        var gpt2 = ModelConfig.Load(Recorded("gpt2-tiny"));
        var expected = new ModelConfig
        {
            Family = ModelFamily.Gpt2,
            VocabularySize = 61,
            Width = 32,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 4,
            FeedForward = 128,
            MaxPositions = 24,
            TiedEmbeddings = true,
            BosTokenId = 0,
            EosTokenId = 0,
        };
        Assert.Equal(expected, gpt2);

        var qwen2 = ModelConfig.Load(Recorded("qwen2-tiny"));
        expected = new ModelConfig
        {
            Family = ModelFamily.Qwen2,
            VocabularySize = 61,
            Width = 32,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            FeedForward = 80,
            MaxPositions = 32,
            NormEpsilon = 1e-6,
            RopeTheta = 1e6,
            TiedEmbeddings = true,
            BosTokenId = 1,
            EosTokenId = 2,
        };
        Assert.Equal(expected, qwen2);
    }

    /// <summary>As it lies beside the weights of BERT-base: with dropout, which answering does without.</summary>
    [Fact]
    public void HuggingFaceFile_OfBert_IsThePreset()
    {
        var json = (JsonObject)JsonNode.Parse("""
            {"architectures":["BertForMaskedLM"],"attention_probs_dropout_prob":0.1,"gradient_checkpointing":false,"hidden_act":"gelu","hidden_dropout_prob":0.1,
             "hidden_size":768,"initializer_range":0.02,"intermediate_size":3072,"layer_norm_eps":1e-12,"max_position_embeddings":512,"model_type":"bert",
             "num_attention_heads":12,"num_hidden_layers":12,"pad_token_id":0,"position_embedding_type":"absolute","transformers_version":"4.6.0.dev0",
             "type_vocab_size":2,"use_cache":true,"vocab_size":30522}
            """)!;
        Assert.Equal(ModelConfig.Preset("bert-base"), ModelConfig.Parse(json, strict: false));
    }

    /// <summary>As it lies beside the weights of t5-small, but for the prefixes of its tasks.</summary>
    [Fact]
    public void HuggingFaceFile_OfT5_IsThePreset()
    {
        var json = (JsonObject)JsonNode.Parse("""
            {"architectures":["T5ForConditionalGeneration"],"d_ff":2048,"d_kv":64,"d_model":512,"decoder_start_token_id":0,"dropout_rate":0.1,"eos_token_id":1,"initializer_factor":1.0,
             "is_encoder_decoder":true,"layer_norm_epsilon":1e-06,"model_type":"t5","n_positions":512,"num_heads":8,"num_layers":6,"output_past":true,"pad_token_id":0,
             "relative_attention_num_buckets":32,"task_specific_params":{"summarization":{"prefix":"summarize: "}},"vocab_size":32128}
            """)!;
        Assert.Equal(ModelConfig.Preset("t5-small"), ModelConfig.Parse(json, strict: false));
        json["feed_forward_proj"] = "gated-gelu";
        json["tie_word_embeddings"] = false;
        json["num_decoder_layers"] = 2;
        Assert.Equal(ModelConfig.Preset("t5-small") with { GatedFeedForward = true, TiedEmbeddings = false, DecoderLayers = 2 }, ModelConfig.Parse(json, strict: false));
    }

    [Theory]
    [InlineData("feed_forward_proj", "\"gated-silu\"", "'feed_forward_proj' \"gated-silu\" is not supported, only \"relu\" and \"gated-gelu\".")]
    [InlineData("is_encoder_decoder", "false", "'is_encoder_decoder' false is not supported, only true.")]
    [InlineData("relative_attention_num_buckets", "7", "'relative_attention_num_buckets' must be even and at least 4, got 7.")]
    [InlineData("relative_attention_max_distance", "16", "'relative_attention_max_distance' 16 must be more than half of 'relative_attention_num_buckets' 32.")]
    [InlineData("decoder_start_token_id", "32128", "'decoder_start_token_id' 32128 is outside the vocabulary of 32128.")]
    [InlineData("num_decoder_layers", "0", "'num_decoder_layers' must be at least 1, got 0.")]
    public void Setting_OfT5ThatDoesNotFit_IsRefused(string name, string value, string told)
    {
        var json = ModelConfig.Preset("t5-small").ToJson();
        json[name] = JsonNode.Parse(value);
        Assert.Contains(told, Assert.Throws<GraphException>(() => ModelConfig.Parse(json, strict: false)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hidden_act", "\"gelu_new\"")]
    [InlineData("position_embedding_type", "\"relative_key\"")]
    [InlineData("is_decoder", "true")]
    [InlineData("tie_word_embeddings", "false")]
    public void Setting_OfBertThatWouldChangeTheArithmetic_IsRefused(string name, string value)
    {
        var json = ModelConfig.Preset("bert-base").ToJson();
        json[name] = JsonNode.Parse(value);
        Assert.Contains($"'{name}' {value} is not supported", Assert.Throws<GraphException>(() => ModelConfig.Parse(json, strict: false)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownKey_IsRefusedStrictly_AndIgnoredOtherwise()
    {
        var json = ModelConfig.Preset("llama-7b").ToJson();
        json["num_hiden_layers"] = 3;
        Assert.Contains("Did you mean 'num_hidden_layers'?", Error(json), StringComparison.Ordinal);
        Assert.Equal(32, ModelConfig.Parse(json, strict: false).Layers);
    }

    /// <summary>Models that are only answered with have been trained with it often enough.</summary>
    [Theory]
    [InlineData("gpt2", "attn_pdrop")]
    [InlineData("llama-7b", "attention_dropout")]
    [InlineData("bert-base", "hidden_dropout_prob")]
    [InlineData("bert-base", "attention_probs_dropout_prob")]
    [InlineData("t5-small", "dropout_rate")]
    public void Dropout_IsRefusedStrictly_AndIgnoredOtherwise(string preset, string name)
    {
        var json = ModelConfig.Preset(preset).ToJson();
        json[name] = 0.0;
        Assert.Equal(ModelConfig.Preset(preset), ModelConfig.Parse(json, strict: true));
        json[name] = 0.1;
        Assert.Contains($"'{name}' must be 0: dropout is left out.", Error(json), StringComparison.Ordinal);
        Assert.Equal(ModelConfig.Preset(preset), ModelConfig.Parse(json, strict: false));
    }

    [Fact]
    public void AllMistakes_AreReported_AtOnce()
    {
        var json = ModelConfig.Preset("llama-7b").ToJson();
        json["num_attention_heads"] = 30;
        json["num_key_value_heads"] = 7;
        json["num_hidden_layers"] = 0;
        json["bos_token_id"] = 32_000;
        string error = Error(json);
        Assert.Contains("'num_attention_heads' 30 must divide 'hidden_size' 4096.", error, StringComparison.Ordinal);
        Assert.Contains("'num_key_value_heads' 7 must divide 'num_attention_heads' 30.", error, StringComparison.Ordinal);
        Assert.Contains("'num_hidden_layers' must be at least 1, got 0.", error, StringComparison.Ordinal);
        Assert.Contains("'bos_token_id' 32000 is outside the vocabulary", error, StringComparison.Ordinal);
    }

    [Fact]
    public void WrongKinds_AreReported_AtOnce()
    {
        var json = ModelConfig.Preset("gpt2").ToJson();
        json["n_embd"] = "768";
        json["n_layer"] = 1.5;
        json.Remove("vocab_size");
        json["tie_word_embeddings"] = 1;
        string error = Error(json);
        foreach (string name in new[] { "n_embd", "n_layer", "vocab_size", "tie_word_embeddings" })
            Assert.Contains($"'{name}'", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hidden_act", "\"gelu\"")]
    [InlineData("attention_bias", "true")]
    [InlineData("rope_scaling", "{\"factor\":2}")]
    [InlineData("head_dim", "64")]
    public void Setting_ThatWouldChangeTheArithmetic_IsRefused(string name, string value)
    {
        var json = ModelConfig.Preset("llama-7b").ToJson();
        json[name] = JsonNode.Parse(value);
        var e = Assert.Throws<GraphException>(() => ModelConfig.Parse(json, strict: false));
        Assert.Contains($"'{name}' {value} is not supported", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OddHeadSize_IsRefused_OnlyForRotaryPositions()
    {
        var llama = ModelConfig.Preset("llama-7b") with { Width = 12, Heads = 4, KeyValueHeads = 4 };
        Assert.Contains("must be even", Assert.Throws<GraphException>(llama.Validated).Message, StringComparison.Ordinal);
        _ = (ModelConfig.Preset("gpt2") with { Width = 12, Heads = 4, KeyValueHeads = 4 }).Validated();
    }

    [Fact]
    public void PresetKey_IsTheBase_ThatOtherKeysReplace()
    {
        var config = ModelConfig.Parse(new JsonObject { ["preset"] = "gpt2", ["n_layer"] = 2, ["vocab_size"] = 60_000 }, strict: true);
        Assert.Equal(ModelConfig.Preset("gpt2") with { Layers = 2, VocabularySize = 60_000 }, config);
    }

    [Fact]
    public void UnknownPreset_Suggests_TheNearest() =>
        Assert.Contains("'llama-7b'", Assert.Throws<GraphException>(() => ModelConfig.Preset("llama7b")).Message, StringComparison.Ordinal);

    private static string Error(JsonObject json) => Assert.Throws<GraphException>(() => ModelConfig.Parse(json, strict: true)).Message;

    private static string Recorded(string model) => Path.Combine(AppContext.BaseDirectory, "Recorded", model, "config.json");
}
