#!/usr/bin/env python3
"""The PyTorch side of run.sh: training steps of GPT-2 124M in bfloat16 with flash attention, as a practised user would write them.

    torch_gpt2.py [--compile] [--batch 32] [--steps 30]

Prints one line of JSON with the fields of OnnxLlm.GpuCheck's SpeedResult. Forward, backward, clipping and a fused AdamW; weights in float32.
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

VOCABULARY, WIDTH, LAYERS, HEADS, TIME, WARM_UP = 50304, 768, 12, 12, 1024, 5


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (y.view(b, t, HEADS, -1).transpose(1, 2) for y in self.qkv(self.ln_1(x)).split(WIDTH, dim=2))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TIME, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, labels):
        x = self.wte(ids) + self.wpe.weight
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, VOCABULARY).float(), labels.view(-1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU")
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    model = Gpt2().cuda()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1}, {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0}],
        lr=3e-4, betas=(0.9, 0.95), fused=True)
    loss_of = torch.compile(model) if args.compile else model
    tokens = torch.randint(0, VOCABULARY, (args.batch * TIME + 1,), device="cuda")
    follows = torch.rand(args.batch * TIME, device="cuda") < 0.8
    tokens[1:] = torch.where(follows, (tokens[:-1] * 5 + 3) % VOCABULARY, tokens[1:])
    ids, labels = tokens[:-1].view(args.batch, TIME), tokens[1:].view(args.batch, TIME)
    losses, milliseconds = [], []
    for step in range(WARM_UP + args.steps):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = loss_of(ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step >= WARM_UP:
            milliseconds.append((time.perf_counter() - begun) * 1e3)
    median = sorted(milliseconds)[len(milliseconds) // 2]
    print(json.dumps({
        "Name": f"PyTorch {torch.__version__}, {'compiled' if args.compile else 'eager'}",
        "StepMilliseconds": median,
        "TokensPerSecond": args.batch * TIME / median * 1e3,
        "FlopsPerToken": 0.0,
        "MemoryMb": torch.cuda.max_memory_reserved() / 1e6,
        "FirstLoss": losses[0],
        "LastLoss": losses[-1],
    }))


if __name__ == "__main__":
    main()
