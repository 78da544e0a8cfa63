"""What the scripts of goldens that transcribe a public definition share: the folder of a golden, and their command line."""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file


def write_golden(folder, config, weights, arrays):
    """A model folder, and beside it inputs, logits, loss and the gradient of every weight."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({k: v.detach() for k, v in weights.items()}, folder / "model" / "model.safetensors", {"format": "pt"})
    save_file(arrays | {f"grad.{k}": v.grad for k, v in weights.items()}, folder / "forward.safetensors")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    print(f"{folder}: {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()) / 1024:.0f} KiB")


def golden_folder(description, pinned):
    """Where goldens go, from the command line; torch as it was when they were made."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "model" / "goldens"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    if torch.__version__.split("+")[0] != pinned:
        raise SystemExit(f"torch is {torch.__version__}; the goldens were made with {pinned}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    return out
