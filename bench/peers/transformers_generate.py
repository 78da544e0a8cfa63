#!/usr/bin/env python3
"""Answers drawn by transformers.generate in bf16: transformers_generate.py MODEL BATCH PROMPT_TOKENS NEW_TOKENS

Prints one JSON line: tokens_per_s of new tokens, from the start of the prompt on.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

folder = sys.argv[1]
batch, prompt, new = map(int, sys.argv[2:])
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
ids = torch.randint(10, model.config.vocab_size, (batch, prompt))
settings = dict(attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, min_new_tokens=new, max_new_tokens=new)
best = 0
with torch.inference_mode():
    model.generate(ids, **{**settings, "min_new_tokens": 4, "max_new_tokens": 4})
    for _ in range(2):
        start = time.perf_counter()
        model.generate(ids, **settings)
        best = max(best, batch * new / (time.perf_counter() - start))
print(json.dumps(dict(tokens_per_s=best)))
