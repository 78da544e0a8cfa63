#!/usr/bin/env python3
"""A training step (forward, backward, clipping, AdamW) in PyTorch, for the shape that `lathe inspect PRESET --json`
prints on standard input:

    lathe inspect m26 --json | torch_step.py eager|compile bf16|fp32 STEPS

Prints one JSON line: step_ms (median), tokens_per_s, peak_rss_mib.
"""
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, ffn = c["hidden_size"], c["intermediate_size"]
        self.heads, self.kv_heads, self.head_dim = c["num_attention_heads"], c["num_key_value_heads"], width // c["num_attention_heads"]
        self.gpt2 = c["model_type"] == "gpt2"
        norm = (lambda: nn.LayerNorm(width)) if self.gpt2 else (lambda: nn.RMSNorm(width, eps=1e-5))
        self.attention_norm, self.ffn_norm = norm(), norm()
        self.qkv = nn.Linear(width, (self.heads + 2 * self.kv_heads) * self.head_dim, bias=self.gpt2)
        self.output = nn.Linear(width, width, bias=self.gpt2)
        self.up = nn.Linear(width, ffn if self.gpt2 else 2 * ffn, bias=self.gpt2)
        self.down = nn.Linear(ffn, width, bias=self.gpt2)

    def attend(self, x, cos, sin):
        rows, tokens, width = x.shape
        sizes = [self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim]
        q, k, v = (part.view(rows, tokens, -1, self.head_dim).transpose(1, 2) for part in self.qkv(x).split(sizes, -1))
        if not self.gpt2:
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        repeats = self.heads // self.kv_heads
        if repeats > 1:
            k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(y.transpose(1, 2).reshape(rows, tokens, width))

    def forward(self, x, cos, sin):
        x = x + self.attend(self.attention_norm(x), cos, sin)
        h = self.up(self.ffn_norm(x))
        if self.gpt2:
            return x + self.down(F.gelu(h, approximate="tanh"))
        gate, up = h.chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def rotated(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, tokens, head_dim = c["hidden_size"], c["seq_len"], c["hidden_size"] // c["num_attention_heads"]
        gpt2 = c["model_type"] == "gpt2"
        self.table = nn.Embedding(c["vocab_size"], width)
        self.places = nn.Embedding(tokens, width) if gpt2 else None
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.LayerNorm(width) if gpt2 else nn.RMSNorm(width, eps=1e-5)
        angles = torch.outer(torch.arange(tokens), 10000.0 ** (-torch.arange(0, head_dim, 2) / head_dim))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids, labels):
        x = self.table(ids)
        if self.places is not None:
            x = x + self.places.weight
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.table.weight).float()
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def main():
    mode, precision, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    shape = json.load(sys.stdin)
    c = shape["config"] | {key: shape[key] for key in ("model_type", "seq_len")}
    torch.manual_seed(0)
    model = Model(c)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    compute = torch.compile(model) if mode == "compile" else model
    ids, labels = (torch.randint(0, c["vocab_size"], (shape["batch_size"], c["seq_len"])) for _ in range(2))

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = compute(ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(step_ms=median * 1e3, tokens_per_s=ids.numel() / median, peak_rss_mib=peak)))


main()
