#!/usr/bin/env python3
"""Writes tests/io/goldens: files of torch.save and the same arrays as safetensors.

Made with torch 2.15.0 (CPU); running it again gives the same arrays.

  llama.bin             the weights of tests/model/goldens/llama/model
  views.bin, .safetensors   every dtype, transposed, sliced and shared storages, a scalar, an empty tensor, a Parameter

  python3 tools/make_torch_goldens.py [--out tests/io/goldens]
"""

import argparse
import collections
import pathlib

import torch
from safetensors.torch import load_file, save_file

PINNED = "2.15.0"
MODEL = pathlib.Path(__file__).parent.parent / "tests/model/goldens/llama/model/model.safetensors"


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    cube = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
    state = collections.OrderedDict(
        base=base, transposed=base.t(), rows=base[1:3], columns=base[:, 2:5], every_other=base[::2, ::3],
        permuted=cube.permute(2, 0, 1), parameter=torch.nn.Parameter(base[3]), scalar=torch.tensor(7.5),
        empty=torch.empty(0, 3), one=base[2:3, 1:2].t())
    for dtype in (torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        state[str(dtype).removeprefix("torch.")] = torch.tensor([[0, 1, 2], [3, 0, 5]]).to(dtype).t()
    return state


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/io/goldens"))
    out = parser.parse_args().out
    if torch.__version__.split("+")[0] != PINNED:
        raise SystemExit(f"needs torch {PINNED}, found {torch.__version__}")
    out.mkdir(parents=True, exist_ok=True)
    torch.save(collections.OrderedDict(load_file(MODEL)), out / "llama.bin")
    module = torch.nn.Module()  # its state_dict carries _metadata
    state = module.state_dict()
    state.update(views())
    torch.save(state, out / "views.bin")
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in views().items()}, out / "views.safetensors")


if __name__ == "__main__":
    main()
