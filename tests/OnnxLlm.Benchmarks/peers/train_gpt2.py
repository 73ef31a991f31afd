#!/usr/bin/env python3
"""The PyTorch side of the `train` benchmark: the same GPT-2, weights, batches and optimizer as our side.

    python3 train_gpt2.py JOB_FOLDER STEPS [--double]

JOB_FOLDER is written by the benchmark: job.json (sizes, optimizer, threads), model.safetensors, batches.safetensors.
One JSON line per step (loss before the update, milliseconds of the whole step) goes to standard output, then a line with
"done". The program then stays until its standard input is closed, so that the benchmark can read its peak memory.
With --double everything is computed in double precision: the losses are then what both sides' single precision approximates.
"""

import json
import math
import struct
import sys
import time
from pathlib import Path

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit("The peer is not installed: apt-get install python3-torch libopenblas0-openmp")


def read_safetensors(path):
    raw = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", raw)
    tensors = {}
    for name, entry in json.loads(raw[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            dtype = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
            tensors[name] = torch.frombuffer(raw[begin:end], dtype=dtype).view(entry["shape"])
    return tensors


class Linear(nn.Module):
    """y = x W + b with W [in, out], GPT-2's layout."""

    def __init__(self, size_in, size_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size_in, size_out))
        self.bias = nn.Parameter(torch.empty(size_out))

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).view(*x.shape[:-1], -1)


class Attention(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.heads = job["heads"]
        self.c_attn = Linear(job["width"], 3 * job["width"])
        self.c_proj = Linear(job["width"], job["width"])
        future = torch.ones(job["time"], job["time"], dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (t.view(batch, length, self.heads, -1).transpose(1, 2) for t in self.c_attn(x).split(width, dim=2))
        scores = (q @ k.transpose(2, 3)) * (1 / math.sqrt(q.shape[-1]))
        weights = scores.masked_fill(self.future, -math.inf).softmax(-1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = Linear(width, 4 * width)
        self.c_proj = Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.ln_1 = nn.LayerNorm(job["width"])
        self.attn = Attention(job)
        self.ln_2 = nn.LayerNorm(job["width"])
        self.mlp = FeedForward(job["width"])

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.wte = nn.Embedding(job["vocabulary"], job["width"])
        self.wpe = nn.Embedding(job["time"], job["width"])
        self.h = nn.ModuleList([Block(job) for _ in range(job["layers"])])
        self.ln_f = nn.LayerNorm(job["width"])

    def forward(self, ids):
        x = self.wte(ids) + self.wpe.weight
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


def linear_algebra():
    """Which BLAS was loaded; the reference one is many times slower and would make no fair peer."""
    loaded = Path("/proc/self/maps")
    text = loaded.read_text() if loaded.exists() else ""
    names = ("mkl_rt", "openblas-openmp", "openblas-pthread", "openblas", "libblas")
    return next((name for name in names if name in text), "unknown")


def say(**line):
    print(json.dumps(line), flush=True)


def main(folder, steps, double):
    job = json.loads((folder / "job.json").read_text())
    torch.set_num_threads(job["threads"])
    model = Transformer(job)
    weights = read_safetensors(folder / "model.safetensors")
    model.load_state_dict({name.removeprefix("transformer."): tensor for name, tensor in weights.items()})
    del weights
    if double:
        model.double()
    batches = read_safetensors(folder / "batches.safetensors")
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": job["weight_decay"]},
         {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0}],
        lr=job["learning_rate"], betas=(job["beta1"], job["beta2"]), eps=job["epsilon"])
    say(about=f"PyTorch {torch.__version__}", linear_algebra=linear_algebra())

    for step in range(steps):
        begin = time.perf_counter()
        index = step % len(batches["input_ids"])
        logits = model(batches["input_ids"][index])
        loss = F.cross_entropy(logits.view(-1, job["vocabulary"]), batches["labels"][index].view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, job["clip_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        del logits
        value = loss.item()
        say(step=step + 1, loss=value, milliseconds=(time.perf_counter() - begin) * 1e3)
    say(done=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "--double" in sys.argv[3:])
