using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Graphs.Artifacts;

/// <summary>The settings files that other runtimes look for beside a model.</summary>
internal static class GenAiConfig
{
    /// <summary><c>genai_config.json</c>, with which ONNX Runtime GenAI and what is built on it open the folder.</summary>
    public static JsonObject Of(ModelConfig config) => new()
    {
        ["model"] = new JsonObject
        {
            ["bos_token_id"] = config.BosTokenId ?? config.EosTokenId ?? 0,
            ["context_length"] = config.MaxPositions,
            ["decoder"] = Decoder(config),
            ["eos_token_id"] = config.EosTokenId ?? 0,
            ["pad_token_id"] = config.EosTokenId ?? 0,

            // For GenAI the type only chooses how the cache is laid out; its "gpt2" means one tensor for keys and values.
            ["type"] = config.Family == ModelFamily.Qwen2 ? "qwen2" : "llama",
            ["vocab_size"] = config.VocabularySize,
        },
        ["search"] = new JsonObject
        {
            ["do_sample"] = false,
            ["max_length"] = config.MaxPositions,
            ["min_length"] = 0,
            ["num_beams"] = 1,
            ["num_return_sequences"] = 1,
            ["past_present_share_buffer"] = true,
            ["repetition_penalty"] = 1.0,
            ["temperature"] = 1.0,
            ["top_k"] = 1,
            ["top_p"] = 1.0,
        },
    };

    /// <summary><c>generation_config.json</c>, Hugging Face's defaults for answering.</summary>
    public static JsonObject Defaults(ModelConfig config)
    {
        var json = new JsonObject { ["do_sample"] = false, ["max_length"] = config.MaxPositions };
        if (config.BosTokenId is { } bos) json["bos_token_id"] = bos;
        if (config.EosTokenId is { } eos) json["eos_token_id"] = eos;
        return json;
    }

    private static JsonObject Decoder(ModelConfig config) => new()
    {
        ["session_options"] = new JsonObject { ["log_id"] = "onnxruntime-genai", ["provider_options"] = new JsonArray() },
        ["filename"] = PackageManifest.ModelFile,
        ["head_size"] = config.HeadSize,
        ["hidden_size"] = config.Width,
        ["inputs"] = new JsonObject
        {
            ["input_ids"] = GenerationGraph.InputIds,
            ["attention_mask"] = GenerationGraph.AttentionMask,
            ["past_key_names"] = "past_key_values.%d.key",
            ["past_value_names"] = "past_key_values.%d.value",
        },
        ["outputs"] = new JsonObject
        {
            ["logits"] = GenerationGraph.Logits,
            ["present_key_names"] = "present.%d.key",
            ["present_value_names"] = "present.%d.value",
        },
        ["num_attention_heads"] = config.Heads,
        ["num_hidden_layers"] = config.Layers,
        ["num_key_value_heads"] = config.KeyValueHeads,
    };
}
