#!/usr/bin/env python3
"""Writes tests/infer/goldens/samplers.json: what the logits processors of transformers make of small random rows.

Made with transformers 5.23.0 and torch 2.15.0 (CPU). Run from the project's root:

    python3 tools/make_sampler_goldens.py

Every case is computed in float32 and in float64, and drawn again when the two keep different tokens: such a case lies
on a border that rounding decides. Half of the rows are on a coarse grid, as bf16 logits are, so that ties occur.
"""

import json
import pathlib

import torch
import transformers
from transformers.generation import logits_process as lp

PINNED = {"transformers": "5.23.0", "torch": "2.15.0"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/infer/goldens/samplers.json"

CONFIGS = [
    {"temperature": 0.7},
    {"temperature": 1.6},
    {"top_k": 1},
    {"top_k": 7},
    {"top_k": 100},
    {"top_p": 0.0},
    {"top_p": 0.3},
    {"top_p": 0.9},
    {"top_p": 0.999},
    {"min_p": 0.02},
    {"min_p": 0.3},
    {"min_p": 1.0},
    {"typical_p": 0.1},
    {"typical_p": 0.5},
    {"typical_p": 0.95},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"temperature": 0.8, "top_k": 20, "top_p": 0.9},
    {"temperature": 1.5, "min_p": 0.1},
    {"top_k": 12, "typical_p": 0.7},
    {"temperature": 0.9, "top_k": 15, "top_p": 0.95, "min_p": 0.05, "typical_p": 0.9,
     "repetition_penalty": 1.2, "no_repeat_ngram_size": 2},
]


def processors(config):
    """In the order in which generate() puts them."""
    chain = []
    if "repetition_penalty" in config:
        chain.append(lp.RepetitionPenaltyLogitsProcessor(config["repetition_penalty"]))
    if "no_repeat_ngram_size" in config:
        chain.append(lp.NoRepeatNGramLogitsProcessor(config["no_repeat_ngram_size"]))
    if "temperature" in config:
        chain.append(lp.TemperatureLogitsWarper(config["temperature"]))
    if "top_k" in config:
        chain.append(lp.TopKLogitsWarper(config["top_k"]))
    if "top_p" in config:
        chain.append(lp.TopPLogitsWarper(config["top_p"]))
    if "min_p" in config:
        chain.append(lp.MinPLogitsWarper(config["min_p"]))
    if "typical_p" in config:
        chain.append(lp.TypicalLogitsWarper(config["typical_p"]))
    return chain


def run(config, ids, logits, dtype):
    scores = torch.tensor([logits], dtype=dtype)
    history = torch.tensor([ids])
    for processor in processors(config):
        scores = processor(history, scores)
    kept = torch.isfinite(scores[0]).nonzero().flatten().tolist()
    return kept, torch.softmax(scores.double(), dim=-1)[0, kept].tolist()


def draw(generator, coarse):
    logits = torch.randn(48, generator=generator) * 3
    if coarse:
        logits = (logits * 2).round() / 2
    ids = torch.randint(0, 10, (24,), generator=generator)
    return [round(x, 4) for x in logits.tolist()], ids.tolist()


def main():
    versions = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    if versions != PINNED:
        raise SystemExit(f"made with {PINNED}, found {versions}")
    generator = torch.Generator().manual_seed(20)
    cases = []
    for config in CONFIGS:
        for coarse in (False, True):
            while True:
                logits, ids = draw(generator, coarse)
                kept, probabilities = run(config, ids, logits, torch.float32)
                if kept == run(config, ids, logits, torch.float64)[0]:
                    break
            cases.append({"config": config, "history": ids, "logits": logits, "kept": kept,
                          "probabilities": [float(f"{p:.6g}") for p in probabilities]})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    OUT.write_text(f'{{"versions":{json.dumps(versions)},"cases":[\n{lines}\n]}}\n')
    print(f"{OUT.name}: {len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
