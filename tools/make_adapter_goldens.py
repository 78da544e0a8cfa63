#!/usr/bin/env python3
"""Writes tests/model/goldens/adapters and steering: LoRA adapters as PEFT saves them, steering vectors, and the logits
of models with them.

Made with torch 2.15.0 (CPU), transformers 5.23.0, peft 0.21.2 and gguf 0.19.0; running it again with those gives the
same numbers to rounding. The bases are the model folders of tests/model/goldens. Each folder adapters/NAME holds

  adapter_config.json, adapter_model.safetensors   with random matrices A and B; base_model_name_or_path is the base
  forward.safetensors                              input_ids (and decoder_input_ids) i32 [B,T], logits [B,T,V]

and steering/BASE

  vectors.safetensors, vectors.gguf   `direction.N`: added to the output of layer N, counted from 0
  forward.safetensors                 input_ids i32 [B,T], scale, logits [B,T,V]

  python3 tools/make_adapter_goldens.py [--out tests/model/goldens]
"""

import argparse
import importlib.metadata
import json
import pathlib

import gguf
import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

PINNED = {"torch": "2.15.0", "transformers": "5.23.0", "peft": "0.21.2", "gguf": "0.19.0"}
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
    ("mixtral", "mixtral", dict(target_modules=["v_proj", "w1", "w2", "w3"])),
    ("qwen3_moe", "qwen3_moe", dict(target_modules=["q_proj"], target_parameters=["mlp.experts.down_proj"])),
    ("t5", "t5", dict(target_modules=["q", "k", "v", "wo"])),
]
SEQ2SEQ = {"t5"}


def make(name, base, keys, out):
    torch.manual_seed(sum(map(ord, name)))
    auto = transformers.AutoModelForSeq2SeqLM if base in SEQ2SEQ else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(GOLDENS / base / "model", dtype=torch.float32, attn_implementation="eager")
    model = peft.get_peft_model(model, peft.LoraConfig(**{"r": 3, "lora_alpha": 5, "lora_dropout": 0 if "experts" in str(keys) or "w1" in str(keys) else 0.1, **keys})).eval()
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


def steer(base, out):
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_pretrained(GOLDENS / base / "model", dtype=torch.float32,
                                                              attn_implementation="eager").eval()
    layers, scale = model.model.layers, 0.5
    vectors = {f"direction.{n}": torch.randn(model.config.hidden_size) for n in range(len(layers))}
    for n, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, __, y, n=n: y + scale * vectors[f"direction.{n}"])
    ids = load_file(GOLDENS / base / "forward.safetensors")["input_ids"]
    with torch.no_grad():
        logits = model(ids.long(), use_cache=False).logits
    folder = out / base
    folder.mkdir(parents=True, exist_ok=True)
    save_file(vectors, folder / "vectors.safetensors")
    writer = gguf.GGUFWriter(folder / "vectors.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", base)
    writer.add_uint32("controlvector.layer_count", len(layers))
    for name, vector in vectors.items():
        writer.add_tensor(name, vector.numpy())
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    save_file({"input_ids": ids, "scale": torch.tensor([scale]), "logits": logits}, folder / "forward.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)
    print(f"steering {base}: {sum(f.stat().st_size for f in folder.iterdir()) / 1024:.0f} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDENS)
    out = parser.parse_args().out
    for package, wanted in PINNED.items():
        if (version := importlib.metadata.version(package).split("+")[0]) != wanted:
            raise SystemExit(f"{package} is {version}; the goldens were made with {PINNED}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for name, base, keys in ADAPTERS:
        make(name, base, keys, out / "adapters")
    for base in ("llama", "gemma2"):
        steer(base, out / "steering")


if __name__ == "__main__":
    main()
