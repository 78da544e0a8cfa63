#!/usr/bin/env python3
"""Writes tests/model/goldens/adapters and steering: adapters as PEFT saves them, steering vectors, and the logits, losses
and gradients of models with them.

Made with torch 2.15.0 (CPU), transformers 5.23.0, peft 0.21.2 and gguf 0.19.0; running it again with those gives the
same numbers to rounding. The bases are the model folders of tests/model/goldens. Each folder adapters/NAME holds

  adapter_config.json, adapter_model.safetensors   with random matrices A and B; base_model_name_or_path is the base
  forward.safetensors                              input_ids (and decoder_input_ids) i32 [B,T], logits [B,T,V]; of the
                                                   kinds beside LoRA also labels i32 [B,T], loss, and grad.NAME for
                                                   each trainable tensor

and steering/BASE

  vectors.safetensors, vectors.gguf   `direction.N`: added to the output of layer N, counted from 0
  forward.safetensors                 input_ids i32 [B,T], scale, logits [B,T,V]

  python3 tools/make_adapter_goldens.py [--out tests/model/goldens] [--only NAME …]
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
LINEAR = ["q_proj", "down_proj"]
# Name, base, PEFT's configuration without its task.
KINDS = [
    ("dora", "llama", peft.LoraConfig(r=2, lora_alpha=5, use_dora=True, target_modules=LINEAR)),
    ("biases", "gpt2", peft.LoraConfig(r=2, lora_alpha=5, bias="all", lora_bias=True, fan_in_fan_out=True,
                                       target_modules=["c_attn"])),
    ("saved", "llama", peft.LoraConfig(r=2, lora_alpha=5, target_modules=["v_proj"],
                                       modules_to_save=["lm_head", "input_layernorm"])),
    ("tokens", "gemma2", peft.LoraConfig(r=2, lora_alpha=5, target_modules=["v_proj"],
                                         trainable_token_indices=[1, 5, 9])),
    ("experts", "qwen3_moe", peft.LoraConfig(r=2, lora_alpha=5, target_modules=["q_proj"], target_parameters=[
        "mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"])),
    ("adalora", "llama", peft.AdaLoraConfig(init_r=4, target_r=2, lora_alpha=5, total_step=10, target_modules=LINEAR)),
    ("ia3", "gpt2", peft.IA3Config(target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"],
                                   fan_in_fan_out=True)),
    ("ia3-t5", "t5", peft.IA3Config(target_modules=["k", "v", "wo"], feedforward_modules=["wo"])),
    ("norms", "gemma2", peft.LNTuningConfig(target_modules=["input_layernorm", "norm"])),
    ("vera", "llama", peft.VeraConfig(r=3, target_modules=["q_proj", "v_proj"])),
    ("loha", "llama", peft.LoHaConfig(r=2, alpha=3, target_modules=LINEAR)),
    ("lokr", "llama", peft.LoKrConfig(r=1, alpha=3, decompose_both=True, target_modules=LINEAR)),
    ("oft", "llama", peft.OFTConfig(r=0, oft_block_size=4, target_modules=LINEAR)),
    ("miss", "llama", peft.MissConfig(r=3, target_modules=LINEAR)),
    ("prompt", "llama", peft.PromptTuningConfig(num_virtual_tokens=3)),
    ("prefix", "llama", peft.PrefixTuningConfig(num_virtual_tokens=3)),
]
SEQ2SEQ = {"t5"}


def tidy(folder, base):
    """Leaves nothing in a folder that differs from one run to the next."""
    (folder / "README.md").unlink()
    config = folder / "adapter_config.json"
    told = json.loads(config.read_text())
    told["base_model_name_or_path"] = base
    for key in told:
        if isinstance(told[key], list):
            told[key] = sorted(told[key])
    config.write_text(json.dumps(told, indent=2) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
    print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1024:.0f} KiB, "
          f"{len(load_file(folder / 'adapter_model.safetensors'))} tensors")


def trained(model):
    """The gradients by the names of the file."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    shared = ("base_layer.weight", "vera_A", "vera_B")
    return {"grad." + key: value for key, value in peft.get_peft_model_state_dict(model, save_embedding_layers=False).items()
            if not key.endswith(shared)}


def make_kind(name, base, config, out):
    torch.manual_seed(sum(map(ord, name)))
    auto = transformers.AutoModelForSeq2SeqLM if base in SEQ2SEQ else transformers.AutoModelForCausalLM
    load = lambda: auto.from_pretrained(GOLDENS / base / "model", dtype=torch.float32, attn_implementation="eager")
    config.task_type = "SEQ_2_SEQ_LM" if base in SEQ2SEQ else "CAUSAL_LM"
    model = peft.get_peft_model(load(), config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    folder = out / name
    model.save_pretrained(folder)
    virtual = isinstance(config, (peft.PromptTuningConfig, peft.PrefixTuningConfig))
    model = peft.PeftModel.from_pretrained(load(), folder, is_trainable=not virtual).eval()
    given = load_file(GOLDENS / base / "forward.safetensors")
    inputs = {key: given[key].long() for key in ("input_ids", "decoder_input_ids") if key in given}
    labels = inputs["decoder_input_ids" if base in SEQ2SEQ else "input_ids"].clone()
    labels[0, :2] = -100
    if virtual:
        model.prompt_encoder["default"].embedding.weight.requires_grad_(True)
    made = model(**inputs, labels=labels, use_cache=isinstance(config, peft.PrefixTuningConfig))
    made.loss.backward()
    gradients = ({"grad.prompt_embeddings": model.prompt_encoder["default"].embedding.weight.grad} if virtual
                 else trained(model))
    save_file({key: value.int() for key, value in inputs.items()}
              | {"labels": labels.int(), "loss": made.loss.detach(),
                 "logits": made.logits[:, -labels.shape[1]:].detach().float().contiguous()}
              | {key: value.detach().contiguous() for key, value in gradients.items()}, folder / "forward.safetensors")
    tidy(folder, base)


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
    save_file({key: value.int() for key, value in inputs.items()} | {"logits": logits.float().contiguous()},
              folder / "forward.safetensors")
    tidy(folder, base)


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
    parser.add_argument("--only", nargs="*", help="names of adapters; steering is left alone then")
    options = parser.parse_args()
    out, wanted_names = options.out, options.only
    for package, wanted in PINNED.items():
        if (version := importlib.metadata.version(package).split("+")[0]) != wanted:
            raise SystemExit(f"{package} is {version}; the goldens were made with {PINNED}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for makers, table in ((make, ADAPTERS), (make_kind, KINDS)):
        for name, base, keys in table:
            if wanted_names is None or name in wanted_names:
                makers(name, base, keys, out / "adapters")
    for base in () if wanted_names is not None else ("llama", "gemma2"):
        steer(base, out / "steering")


if __name__ == "__main__":
    main()
