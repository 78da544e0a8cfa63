#!/usr/bin/env python3
"""Writes tests/model/goldens: tiny models with what transformers and PyTorch compute from them.

Made with torch 2.15.0 (CPU) and transformers 5.23.0; running it again with those gives the same numbers to
rounding. Each folder holds

  model/                 a Hugging Face folder (config.json, model.safetensors)
  forward.safetensors    input_ids [B,T], labels [B,T] (-100 ignored, not yet shifted), logits [B,T,V], loss,
                         grad.<name on disk> for every parameter
  steps.json             settings of AdamW and the schedule, a stream of tokens, and the loss, learning rate and
                         gradient norm before clipping of ten steps over it; row j of step i (from 0) is the
                         T + 1 tokens from (i·B + j)·T on

  python3 tools/make_goldens.py [--out tests/model/goldens]
"""

import argparse
import json
import math
import pathlib

import torch
import transformers
from safetensors.torch import save_file

PINNED = {"torch": "2.15.0", "transformers": "5.23.0"}

VOCABULARY, BATCH, TOKENS = 29, 2, 11
ADAMW = {"lr": 2e-2, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "grad_clip": 1.0}
SCHEDULE = {"name": "cosine", "warmup_steps": 3, "min_lr_ratio": 0.1}
STEPS = 10


def configs():
    yield "llama", transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, rms_norm_eps=1e-5, tie_word_embeddings=False,
        attention_dropout=0.0, initializer_range=0.2)
    yield "gpt2", transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=16, n_inner=24, attn_pdrop=0.0,
        resid_pdrop=0.0, embd_pdrop=0.0, tie_word_embeddings=True, initializer_range=0.2)


def randomize_gains(model):
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(0.2 * torch.randn_like(parameter))


def named_gradients(model):
    return {f"grad.{name}": p.grad.detach().clone().contiguous() for name, p in model.named_parameters()}


def write_forward(model, folder):
    ids = torch.randint(0, VOCABULARY, (BATCH, TOKENS))
    labels = ids.clone()
    labels[0, 3] = labels[1, 7] = labels[1, 8] = -100
    model.zero_grad()
    out = model(input_ids=ids, labels=labels)
    out.loss.backward()
    arrays = {"input_ids": ids.int(), "labels": labels.int(), "logits": out.logits.detach().contiguous(),
              "loss": out.loss.detach().reshape(())}
    save_file(arrays | named_gradients(model), folder / "forward.safetensors")


def learning_rate(step):
    if step <= SCHEDULE["warmup_steps"]:
        return ADAMW["lr"] * step / SCHEDULE["warmup_steps"]
    done = (step - SCHEDULE["warmup_steps"]) / (STEPS - SCHEDULE["warmup_steps"])
    low = SCHEDULE["min_lr_ratio"]
    return ADAMW["lr"] * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


def write_steps(model, folder):
    groups = [{"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": ADAMW["weight_decay"]},
              {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])
    stream = torch.randint(0, VOCABULARY, (STEPS * BATCH * TOKENS + 1,))
    windows = stream.unfold(0, TOKENS + 1, TOKENS).reshape(STEPS, BATCH, TOKENS + 1)
    steps = []
    for step, batch in enumerate(windows, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        logits = model(input_ids=batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), batch[:, 1:].reshape(-1))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["grad_clip"])
        optimizer.step()
        steps.append({"loss": loss.item(), "lr": learning_rate(step), "grad_norm": norm.item()})
    content = {"optim": {"name": "adamw", **ADAMW}, "schedule": SCHEDULE, "batch_size": BATCH, "seq_len": TOKENS,
               "tokens": stream.tolist(), "steps": steps}
    (folder / "steps.json").write_text(json.dumps(content) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "model" / "goldens"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    for module in (torch, transformers):
        version = module.__version__.split("+")[0]
        if version != PINNED[module.__name__]:
            raise SystemExit(f"{module.__name__} is {version}; the goldens were made with {PINNED[module.__name__]}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for name, config in configs():
        torch.manual_seed(20)
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).float().train()
        randomize_gains(model)
        folder = out / name
        model.save_pretrained(folder / "model")
        write_forward(model, folder)
        write_steps(model, folder)
        for file in folder.rglob("*.safetensors"):
            file.chmod(0o644)
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        print(f"{folder}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
