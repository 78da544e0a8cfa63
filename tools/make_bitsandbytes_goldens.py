#!/usr/bin/env python3
"""Writes tests/model/goldens/bitsandbytes: a tiny Llama, the folders that transformers saves of it when bitsandbytes
quantises it, and the weights as bitsandbytes reads them.

Made with torch 2.15.0, transformers 5.23.0, bitsandbytes 0.50.2, accelerate 1.15.0, safetensors 0.8.0, on a CPU.
"""
import pathlib
import shutil

import bitsandbytes
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

FOLDER = pathlib.Path(__file__).parent.parent / "tests" / "model" / "goldens" / "bitsandbytes"
KINDS = {
    "nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "nf4-double": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "fp4": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4"),
    "int8": dict(load_in_8bit=True),
}


def plain_model():
    # 36 and 24 columns: the last block of some matrices is not full.
    torch.manual_seed(11)
    config = LlamaConfig(vocab_size=20, hidden_size=36, intermediate_size=24, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32,
                         initializer_range=0.3, bos_token_id=1, eos_token_id=2)
    return LlamaForCausalLM(config)


def as_read(name, weight):
    if isinstance(weight, bitsandbytes.nn.Params4bit):
        return bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
    if isinstance(weight, bitsandbytes.nn.Int8Params):
        return bitsandbytes.functional.int8_vectorwise_dequant(weight.data, weight.SCB)
    return weight.data


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    plain_model().save_pretrained(FOLDER / "plain")
    for kind, options in KINDS.items():
        config = BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.float32, **options)
        model = AutoModelForCausalLM.from_pretrained(FOLDER / "plain", quantization_config=config,
                                                     device_map={"": "cpu"}, dtype=torch.float32)
        model.save_pretrained(FOLDER / kind)
        weights = {name: as_read(name, weight).float().contiguous() for name, weight in model.named_parameters()}
        save_file(weights, FOLDER / f"{kind}.safetensors")


if __name__ == "__main__":
    main()
