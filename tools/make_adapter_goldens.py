#!/usr/bin/env python3
"""Writes tests/model/goldens/adapters: LoRA adapters as PEFT saves them, and the logits of models with them.

Made with torch 2.15.0 (CPU), transformers 5.23.0 and peft 0.21.2; running it again with those gives the same numbers
to rounding. The bases are the model folders of tests/model/goldens. Each folder NAME holds

  adapter_config.json, adapter_model.safetensors   with random matrices A and B; base_model_name_or_path is the base
  forward.safetensors                              input_ids (and decoder_input_ids) i32 [B,T], logits [B,T,V]

  python3 tools/make_adapter_goldens.py [--out tests/model/goldens/adapters]
"""

import argparse
import json
import pathlib

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

PINNED = {"torch": "2.15.0", "transformers": "5.23.0", "peft": "0.21.2"}
GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "model" / "goldens"

# Name, base, what LoraConfig is told beside r = 3 and lora_alpha = 5.
ADAPTERS = [
    ("llama", "llama", dict(target_modules="all-linear")),
    ("llama-attention", "llama", dict(target_modules=["q_proj", "v_proj"], use_rslora=True)),
    ("llama-patterns", "llama", dict(
        target_modules=["k_proj", "o_proj", "down_proj", "lm_head", "embed_tokens"],
        rank_pattern={"down_proj": 5, r"layers\.1\.self_attn\.k_proj": 2},
        alpha_pattern={"lm_head": 7, "model.layers.0.self_attn.o_proj": 1})),
    ("gpt2", "gpt2", dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
    ("phi3", "phi3", dict(target_modules=["qkv_proj", "gate_up_proj", "down_proj"])),
    ("bloom", "bloom", dict(target_modules=["query_key_value", "dense_h_to_4h"])),
    ("gemma2", "gemma2", dict(target_modules=["q_proj", "o_proj", "gate_proj", "lm_head"])),
    ("deepseek_v2", "deepseek_v2", dict(target_modules=["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa",
                                                        "kv_b_proj"])),
    ("qwen2_moe", "qwen2_moe", dict(target_modules=["k_proj", "gate_proj", "up_proj", "down_proj"])),
    ("t5", "t5", dict(target_modules=["q", "k", "v", "wo"])),
]
SEQ2SEQ = {"t5"}


def make(name, base, keys, out):
    torch.manual_seed(sum(map(ord, name)))
    auto = transformers.AutoModelForSeq2SeqLM if base in SEQ2SEQ else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(GOLDENS / base / "model", dtype=torch.float32, attn_implementation="eager")
    model = peft.get_peft_model(model, peft.LoraConfig(**{"r": 3, "lora_alpha": 5, "lora_dropout": 0.1, **keys})).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = 0.3 * torch.randn_like(parameter)
    given = load_file(GOLDENS / base / "forward.safetensors")
    inputs = {key: given[key].long() for key in ("input_ids", "decoder_input_ids") if key in given}
    with torch.no_grad():
        logits = model(**inputs, use_cache=False).logits
    folder = out / name
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = folder / "adapter_config.json"
    told = json.loads(config.read_text())
    told["base_model_name_or_path"] = base
    for key in told:
        if isinstance(told[key], list):
            told[key] = sorted(told[key])
    config.write_text(json.dumps(told, indent=2) + "\n")
    save_file({key: value.int() for key, value in inputs.items()} | {"logits": logits.float().contiguous()},
              folder / "forward.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1024:.0f} KiB, "
          f"{len(load_file(folder / 'adapter_model.safetensors'))} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDENS / "adapters")
    out = parser.parse_args().out
    for module in (torch, transformers, peft):
        if module.__version__.split("+")[0] != PINNED[module.__name__]:
            raise SystemExit(f"{module.__name__} is {module.__version__}; the goldens were made with {PINNED}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for name, base, keys in ADAPTERS:
        make(name, base, keys, out)


if __name__ == "__main__":
    main()
