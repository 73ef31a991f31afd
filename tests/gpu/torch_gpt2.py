#!/usr/bin/env python3
"""The PyTorch side of run.sh: training steps of GPT-2 124M in bfloat16 with flash attention, as a practised user would write them.

    torch_gpt2.py [--compile] [--batch 32] [--steps 30] [--device cpu] [--tiny]

Prints one line of JSON with the fields of OnnxLlm.GpuCheck's SpeedResult. Forward, backward, clipping and a fused AdamW; weights in float32.
With --device cpu --tiny every line runs in seconds anywhere, also with PyTorch 1.13, which only shows that the script works.
"""

import argparse
import json
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit("PyTorch is not installed on this machine")

WARM_UP = 5


class Size:
    """GPT-2 124M, its vocabulary padded to a multiple of 128, or something small of the same kind."""

    def __init__(self, tiny):
        self.vocabulary, self.width, self.layers, self.heads, self.time = (512, 64, 2, 2, 128) if tiny else (50304, 768, 12, 12, 1024)


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    hidden = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
    return ((q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5).masked_fill(hidden, float("-inf")).softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.heads, width = size.heads, size.width
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, width = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.ln_1(x)).split(width, dim=2))
        x = x + self.out(attention(q, k, v).transpose(1, 2).reshape(b, t, width))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(size.vocabulary, size.width), nn.Embedding(size.time, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.ln_f = nn.LayerNorm(size.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, labels):
        x = self.wte(ids) + self.wpe.weight
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), labels.view(-1))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    args.batch = args.batch or (2 if args.tiny else 32)
    args.steps = args.steps or (3 if args.tiny else 30)
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU")
    if args.compile and not hasattr(torch, "compile"):
        sys.exit(f"PyTorch {torch.__version__} has no torch.compile")
    return args


def batch_of(args, size):
    """Four tokens of five follow from the one before."""
    count = args.batch * size.time
    tokens = torch.randint(0, size.vocabulary, (count + 1,), device=args.device)
    follows = torch.rand(count, device=args.device) < 0.8
    tokens[1:] = torch.where(follows, (tokens[:-1] * 5 + 3) % size.vocabulary, tokens[1:])
    return tokens[:-1].view(args.batch, size.time), tokens[1:].view(args.batch, size.time)


def memory_mb(args):
    """Of the whole device, as NVML tells it for the other side."""
    if args.device == "cpu":
        return None
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 1e6


def main():
    args = arguments()
    size, on_gpu = Size(args.tiny), args.device == "cuda"
    torch.manual_seed(1)
    if on_gpu:
        torch.backends.cuda.matmul.allow_tf32 = True
    model = Gpt2(size).to(args.device)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1}, {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0}],
        lr=3e-4, betas=(0.9, 0.95), **({"fused": True} if on_gpu else {}))
    loss_of = torch.compile(model) if args.compile else model
    ids, labels = batch_of(args, size)
    losses, milliseconds = [], []
    for step in range(WARM_UP + args.steps):
        begun = time.perf_counter()
        with torch.autocast(args.device, dtype=torch.bfloat16):
            loss = loss_of(ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if on_gpu:
            torch.cuda.synchronize()
        if step >= WARM_UP:
            milliseconds.append((time.perf_counter() - begun) * 1e3)
    median = sorted(milliseconds)[len(milliseconds) // 2]
    print(json.dumps({
        "Name": f"PyTorch {torch.__version__}, {'compiled' if args.compile else 'eager'}",
        "StepMilliseconds": median,
        "TokensPerSecond": args.batch * size.time / median * 1e3,
        "FlopsPerToken": 0.0,
        "MemoryMb": memory_mb(args),
        "FirstLoss": losses[0],
        "LastLoss": losses[-1],
    }))


if __name__ == "__main__":
    main()
