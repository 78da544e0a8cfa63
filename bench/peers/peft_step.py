#!/usr/bin/env python3
"""A step of LoRA (forward, backward, clipping, AdamW) with PEFT on PyTorch, in bf16, of sequences that rows of text fill:

    peft_step.py eager|compile MODEL ROWS.jsonl STEPS SEQUENCES TOKENS

ROWS have the keys of Alpaca. The adapter is of rank 8 on the queries and values. Prints one JSON line: step_ms (median),
peak_rss_mib.
"""
import json
import resource
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def batches(tokenizer, path, sequences, tokens):
    ids = []
    with open(path, encoding="utf8") as file:
        for row in map(json.loads, file):
            text = row["instruction"] + "\n\n" + row.get("input", "") + "\n" + row["output"]
            ids += tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    size = sequences * tokens
    return [torch.tensor(ids[at:at + size]).view(sequences, tokens) for at in range(0, len(ids) - size, size)]


def main():
    mode, folder, rows = sys.argv[1:4]
    steps, sequences, tokens = map(int, sys.argv[4:])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    compute = torch.compile(model) if mode == "compile" else model
    data = batches(AutoTokenizer.from_pretrained(folder), rows, sequences, tokens)

    def step(ids):
        loss = compute(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step(data[0])
    times = []
    for i in range(steps):
        start = time.perf_counter()
        step(data[(i + 1) % len(data)])
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(step_ms=statistics.median(times) * 1e3, peak_rss_mib=peak)))


main()
