#!/usr/bin/env python3
"""Writes tests/model/goldens/scores: tiny sequence classifiers of transformers and the scores that they compute.

Made with transformers 5.23.0 and torch 2.15.0 (CPU). Run from the project's root:

    python3 tools/make_score_goldens.py

A folder holds model/ as transformers saves it, and forward.safetensors: input_ids [B,T], scores [B,T,labels] of every
token, and the gradient of the sum of squared scores by every weight.
"""

import pathlib

import torch
import transformers
from safetensors.torch import save_file

PINNED = {"transformers": "5.23.0", "torch": "2.15.0"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/model/goldens/scores"
SIZES = {"vocab_size": 29, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
         "num_key_value_heads": 2, "max_position_embeddings": 32, "initializer_range": 0.3}
MODELS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, num_labels=1),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES, head_dim=8, num_labels=3, tie_word_embeddings=True),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=29, n_embd=16, n_layer=2, n_head=2, n_positions=32, num_labels=1,
                                            initializer_range=0.3, bos_token_id=1, eos_token_id=2),
}


def write(name, config):
    torch.manual_seed(7)
    model = transformers.AutoModelForSequenceClassification.from_config(config).float().eval()
    for parameter in model.parameters():  # norms and biases, too
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape)
    ids = torch.randint(0, 29, (2, 9))
    scores = model.score(model.base_model(input_ids=ids).last_hidden_state)
    whole = torch.cat([model(input_ids=row[None]).logits for row in ids])
    assert torch.allclose(scores[:, -1], whole, atol=1e-6), "the last token's scores are those of the text"
    scores.square().sum().backward()
    folder = OUT / name
    model.save_pretrained(folder / "model")
    arrays = {"input_ids": ids.int(), "scores": scores.detach()}
    arrays |= {f"grad.{k}": p.grad for k, p in model.named_parameters()}
    save_file({k: v.contiguous() for k, v in arrays.items()}, folder / "forward.safetensors")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    print(name, sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()), "bytes")


def main():
    for name, module in (("transformers", transformers), ("torch", torch)):
        if module.__version__.split("+")[0] != PINNED[name]:
            raise SystemExit(f"{name} is {module.__version__}, the goldens need {PINNED[name]}")
    torch.set_num_threads(1)
    for name, config in MODELS.items():
        write(name, config())


main()
