#!/usr/bin/env python3
"""PyTorch's causal scaled_dot_product_attention, 8 heads of width 64: torch_attention.py TOKENS bf16|fp32

Prints one JSON line in GFLOP/s, counted as `lathe bench attention` counts: 4·H·T²·D/2 forward, 2.5 times that backward.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

tokens, heads, width = int(sys.argv[1]), 8, 64
dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[sys.argv[2]]
q, k, v = (torch.randn(1, heads, tokens, width, dtype=dtype, requires_grad=True) for _ in range(3))
forward = backward = float("inf")
for _ in range(4):
    start = time.perf_counter()
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    forward = min(forward, time.perf_counter() - start)
    gradient = torch.ones_like(out)
    start = time.perf_counter()
    out.backward(gradient)
    backward = min(backward, time.perf_counter() - start)
work = 2 * heads * tokens**2 * width * 1e-9
print(json.dumps(dict(forward_gflops=work / forward, backward_gflops=2.5 * work / backward)))
