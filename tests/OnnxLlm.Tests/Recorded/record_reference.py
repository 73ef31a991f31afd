#!/usr/bin/env python3
"""Records the PyTorch values that the tests compare our graphs with.

    OMP_NUM_THREADS=1 python3 record_reference.py        # rewrites the folders beside this file

It needs PyTorch (recorded with Debian's python3-torch 1.13.1) and nothing else. It is run by hand, once; the tests
only read what it wrote. Every model folder holds

    config.json             Hugging Face field names
    model.safetensors       the initial parameters, Hugging Face names and layouts
    reference.safetensors   what PyTorch makes of them:
        input_ids, labels            int64 [2, 12]; labels are shifted already, -100 is ignored
        logits, loss                 of the initial parameters; the loss is the mean over the valid labels
        gradient.<parameter>         of that loss, before clipping
        step1.<parameter>, step5.<parameter>     parameters after one and after five AdamW steps on this batch
        losses [5], gradient_norms [5]           before each of the five steps; the norms are before clipping

Parameters are rounded to float32 first; all arithmetic is float64 and each result is rounded to float32 once, so a
difference from these files is an error of the other side. Parameters with an identically zero gradient show rounding
noise in float32, which AdamW then scales up: in GPT-2 that is the key third of c_attn.bias, because adding one vector to
every key shifts all scores of a query alike and softmax does not see it.
"""

import json
import math
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
BATCH, TIME, STEPS = 2, 12, 5

GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 61, "n_positions": 24, "n_embd": 32,
    "n_layer": 2, "n_head": 4, "n_inner": None, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
    "initializer_range": 0.02, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
    "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": True, "torch_dtype": "float32",
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 61, "max_position_embeddings": 32,
    "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "attention_bias": False, "mlp_bias": False, "initializer_range": 0.02,
    "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False, "torch_dtype": "float32",
}
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 61, "max_position_embeddings": 32,
    "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
    "use_sliding_window": False, "attention_dropout": 0.0, "initializer_range": 0.02,
    "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": True, "torch_dtype": "float32",
}


# ---- models: a dictionary of parameters and a function from parameters and tokens to logits ----

def causal_attention(q, k, v):
    """q [B,H,T,K], k and v [B,G,T,K]; query head h reads key/value head h // (H/G). Returns [B,T,H*K]."""
    batch, heads, time, size = q.shape
    k = k.repeat_interleave(heads // k.shape[1], dim=1)
    v = v.repeat_interleave(heads // v.shape[1], dim=1)
    scores = q @ k.transpose(2, 3) / math.sqrt(size)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(future, -math.inf).softmax(-1)
    return (weights @ v).transpose(1, 2).reshape(batch, time, heads * size)


def split_heads(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def gpt2_shapes(c):
    d = c["n_embd"]
    shapes = {"transformer.wte.weight": (c["vocab_size"], d), "transformer.wpe.weight": (c["n_positions"], d)}
    for layer in range(c["n_layer"]):
        at = f"transformer.h.{layer}."
        # Conv1D layout: weights are [in, out].
        for name, size_in, size_out in (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d),
                                        ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d)):
            shapes[at + name + ".weight"] = (size_in, size_out)
            shapes[at + name + ".bias"] = (size_out,)
        for name in ("ln_1", "ln_2"):
            shapes[at + name + ".weight"] = shapes[at + name + ".bias"] = (d,)
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (d,)
    return shapes


def gpt2_logits(c, p, ids):
    def norm(x, name):
        return F.layer_norm(x, (c["n_embd"],), p[name + ".weight"], p[name + ".bias"], c["layer_norm_epsilon"])

    def linear(x, name):
        return x @ p[name + ".weight"] + p[name + ".bias"]

    x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][: ids.shape[1]]
    for layer in range(c["n_layer"]):
        at = f"transformer.h.{layer}."
        qkv = linear(norm(x, at + "ln_1"), at + "attn.c_attn").split(c["n_embd"], dim=2)
        x = x + linear(causal_attention(*(split_heads(t, c["n_head"]) for t in qkv)), at + "attn.c_proj")
        hidden = F.gelu(linear(norm(x, at + "ln_2"), at + "mlp.c_fc"), approximate="tanh")
        x = x + linear(hidden, at + "mlp.c_proj")
    return norm(x, "transformer.ln_f") @ p["transformer.wte.weight"].T


def llama_shapes(c):
    d, f, head = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"]
    kv = c["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], d)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes[at + "input_layernorm.weight"] = shapes[at + "post_attention_layernorm.weight"] = (d,)
        for name, size_out, size_in in (("self_attn.q_proj", d, d), ("self_attn.k_proj", kv, d),
                                        ("self_attn.v_proj", kv, d), ("self_attn.o_proj", d, d),
                                        ("mlp.gate_proj", f, d), ("mlp.up_proj", f, d), ("mlp.down_proj", d, f)):
            shapes[at + name + ".weight"] = (size_out, size_in)
            if c["model_type"] == "qwen2" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                shapes[at + name + ".bias"] = (size_out,)
    shapes["model.norm.weight"] = (d,)
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (c["vocab_size"], d)
    return shapes


def rotate(x, theta):
    """Rotary position embedding of x [B,H,T,K]: element i is paired with element i + K/2."""
    time, size = x.shape[2:]
    frequency = theta ** (-torch.arange(0, size, 2, dtype=x.dtype) / size)
    angle = torch.arange(time, dtype=x.dtype)[:, None] * frequency
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)


def llama_logits(c, p, ids):
    def norm(x, name):
        return x * (x.square().mean(-1, keepdim=True) + c["rms_norm_eps"]).rsqrt() * p[name + ".weight"]

    def linear(x, name):
        return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))

    x = p["model.embed_tokens.weight"][ids]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = norm(x, at + "input_layernorm")
        q = split_heads(linear(h, at + "self_attn.q_proj"), c["num_attention_heads"])
        k = split_heads(linear(h, at + "self_attn.k_proj"), c["num_key_value_heads"])
        v = split_heads(linear(h, at + "self_attn.v_proj"), c["num_key_value_heads"])
        o = causal_attention(rotate(q, c["rope_theta"]), rotate(k, c["rope_theta"]), v)
        x = x + linear(o, at + "self_attn.o_proj")
        h = norm(x, at + "post_attention_layernorm")
        h = F.silu(linear(h, at + "mlp.gate_proj")) * linear(h, at + "mlp.up_proj")
        x = x + linear(h, at + "mlp.down_proj")
    head = "model.embed_tokens" if c["tie_word_embeddings"] else "lm_head"
    return linear(norm(x, "model.norm"), head)


# ---- recording ----

def random_parameters(shapes, generator):
    """Nothing is left at 0 or 1, where a forgotten bias or gain would not show."""
    parameters = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator) * (0.2 if len(shape) > 1 else 0.1)
        if "norm" in name or ".ln_" in name:
            values = values + (1 if name.endswith(".weight") else 0)
        parameters[name] = values.double().requires_grad_()
    return parameters


def random_batch(vocabulary, generator):
    tokens = torch.randint(vocabulary, (BATCH, TIME + 1), generator=generator)
    labels = tokens[:, 1:].clone()
    labels[0, :3] = -100    # a prompt that is not trained on
    labels[1, 7] = -100
    labels[1, 10:] = -100   # padding
    return tokens[:, :-1].contiguous(), labels


def record(name, config, shapes, logits_of, seed):
    generator = torch.Generator().manual_seed(seed)
    p = random_parameters(shapes(config), generator)
    ids, labels = random_batch(config["vocab_size"], generator)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(folder / "model.safetensors", p)

    reference = {"input_ids": ids, "labels": labels}
    optimizer = torch.optim.AdamW(
        [{"params": [t for t in p.values() if t.dim() > 1], "weight_decay": 0.1},
         {"params": [t for t in p.values() if t.dim() <= 1], "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        logits = logits_of(config, p, ids)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        if step == 1:
            reference |= {"logits": logits, "loss": loss} | {f"gradient.{k}": t.grad.clone() for k, t in p.items()}
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), 1.0).item())
        optimizer.step()
        if step in (1, STEPS):
            reference |= {f"step{step}.{k}": t.detach().clone() for k, t in p.items()}
    reference |= {"losses": torch.tensor(losses), "gradient_norms": torch.tensor(norms)}
    write_safetensors(folder / "reference.safetensors", reference)
    print(f"{name}: losses {losses}\n  gradient norms {norms}")


def record_activations():
    """The activations and their derivatives at 1000 points of [-8, 8]."""
    x = torch.linspace(-8, 8, 1000).double()
    table = {"x": x}
    for name, function in (("gelu_tanh", lambda t: F.gelu(t, approximate="tanh")), ("gelu_erf", F.gelu), ("silu", F.silu)):
        point = x.clone().requires_grad_()
        y = function(point)
        y.sum().backward()
        table |= {name: y, name + ".derivative": point.grad}
    write_safetensors(HERE / "activations.safetensors", table)


def write_safetensors(path, tensors):
    """8 bytes little-endian header length, the header as JSON padded with spaces to a multiple of 8, the data."""
    header, data = {"__metadata__": {"recorded_with": f"torch {torch.__version__}"}}, b""
    for name, tensor in tensors.items():
        integer = tensor.dtype == torch.int64
        raw = (tensor if integer else tensor.detach().float()).contiguous().numpy().tobytes()
        header[name] = {"dtype": "I64" if integer else "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    record("gpt2-tiny", GPT2, gpt2_shapes, gpt2_logits, seed=1)
    record("llama-tiny", LLAMA, llama_shapes, llama_logits, seed=2)
    record("qwen2-tiny", QWEN2, llama_shapes, llama_logits, seed=3)
    record_activations()
