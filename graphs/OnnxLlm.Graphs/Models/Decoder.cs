namespace OnnxLlm.Graphs.Models;

// Shapes: B batch, T time, D width, H heads, G key/value heads, K head size, F feed-forward, V vocabulary, L layers.
// ".." is one axis of B*T rows in a training graph and the two axes B, T in a generation graph.

/// <summary>
/// The decoder-only transformer: token ids in, logits out. It owns the order of the parts and the names of the parameters, which are Hugging Face's.
/// How a part is computed (with gradients in mind, or with a key/value cache) is left to <see cref="ModelParts"/>.
/// </summary>
internal sealed class Decoder(ModelConfig config, ModelParts parts)
{
    /// <summary>Scores [.., V] of the next token after each of the <paramref name="ids"/> [B, T].</summary>
    public Value Logits(Value ids) => config.Family == ModelFamily.Gpt2 ? Gpt2(ids) : Llama(ids);

    /// <summary>GPT-2 (Radford et al. 2019): learned positions, LayerNorm, GELU, biases everywhere, one matrix for queries, keys and values.</summary>
    private Value Gpt2(Value ids)
    {
        var x = parts.Embedding("transformer.wte", ids) + parts.LearnedPositions("transformer.wpe");    // [.., D]
        x = parts.Rows(x);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            using var scope = parts.Scope($"transformer.h.{layer}");
            var h = parts.LayerNorm(ref x, "ln_1");
            x += Attention(h);
            h = parts.LayerNorm(ref x, "ln_2");
            x += FeedForward(h);
        }
        return parts.Head(parts.LayerNorm(ref x, "transformer.ln_f"), "transformer.wte");    // [.., V]

        Value Attention(Value h)
        {
            h = parts.Attention(h, new Projection("attn.c_attn", 3 * config.Width, Bias: true));    // [.., H*K]
            return parts.Linear(h, new("attn.c_proj", config.Width, Bias: true));                   // [.., D]
        }

        Value FeedForward(Value h)
        {
            h = parts.Gelu(parts.Linear(h, new("mlp.c_fc", config.FeedForward, Bias: true)));    // [.., F]
            return parts.Linear(h, new("mlp.c_proj", config.Width, Bias: true));                 // [.., D]
        }
    }

    /// <summary>LLaMA (Touvron et al. 2023): rotary positions, RMSNorm, SwiGLU, grouped queries. Qwen2 adds biases to queries, keys and values.</summary>
    private Value Llama(Value ids)
    {
        var x = parts.Rows(parts.Embedding("model.embed_tokens", ids));    // [.., D]
        for (int layer = 0; layer < config.Layers; layer++)
        {
            using var scope = parts.Scope($"model.layers.{layer}");
            var h = parts.RmsNorm(ref x, "input_layernorm");
            x += Attention(h);
            h = parts.RmsNorm(ref x, "post_attention_layernorm");
            x += FeedForward(h);
        }
        return parts.Head(parts.RmsNorm(ref x, "model.norm"), config.TiedEmbeddings ? "model.embed_tokens" : "lm_head");    // [.., V]

        Value Attention(Value h)
        {
            bool bias = config.Family == ModelFamily.Qwen2;
            var q = new Projection("self_attn.q_proj", config.Width, bias);            // [.., H*K]
            var k = new Projection("self_attn.k_proj", config.KeyValueWidth, bias);    // [.., G*K]
            var v = new Projection("self_attn.v_proj", config.KeyValueWidth, bias);    // [.., G*K]
            return parts.Linear(parts.Attention(h, q, k, v), new("self_attn.o_proj", config.Width));    // [.., D]
        }

        Value FeedForward(Value h)
        {
            var gate = new Projection("mlp.gate_proj", config.FeedForward);    // [.., F]
            var up = new Projection("mlp.up_proj", config.FeedForward);        // [.., F]
            return parts.Linear(parts.SwiGlu(h, gate, up), new("mlp.down_proj", config.Width));    // [.., D]
        }
    }
}
