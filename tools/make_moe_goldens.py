#!/usr/bin/env python3
"""Writes tests/model/goldens/moe: what the mixture-of-experts layers of transformers compute.

Made with torch 2.15.0 (CPU) and transformers 5.23.0; running it again with those gives the same numbers to
rounding. Each file NAME.safetensors holds, for one layer with random weights,

  x, dy [B,T,C]          the input, and the gradient of the output
  y, dx [B,T,C]          the output, and the gradient of the input
  weight.<parameter>     by Lathe's names, stacked as nn/moe/moe.h says
  grad.<parameter>       of sum(y · dy)
  balance_loss, z_loss   of the router's logits, where transformers has them for this model

  python3 tools/make_moe_goldens.py [--out tests/model/goldens/moe]
"""

import argparse
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.deepseek_v2 import modeling_deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3
from transformers.models.mixtral import modeling_mixtral
from transformers.models.qwen2_moe import modeling_qwen2_moe
from transformers.models.qwen3_moe import modeling_qwen3_moe
from transformers.models.switch_transformers import modeling_switch_transformers as switch

PINNED = {"torch": "2.15.0", "transformers": "5.23.0"}
BATCH, TOKENS, WIDTH, EXPERT_WIDTH = 2, 9, 6, 5


def shared_config(**keys):
    return {"hidden_size": WIDTH, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 11, **keys}


def layers():
    """Name, layer, experts a token (0: no balance loss of this form)."""
    yield "mixtral", modeling_mixtral.MixtralSparseMoeBlock(transformers.MixtralConfig(**shared_config(
        num_key_value_heads=2, intermediate_size=EXPERT_WIDTH, num_local_experts=4, num_experts_per_tok=2))), 2
    yield "qwen2_moe", modeling_qwen2_moe.Qwen2MoeSparseMoeBlock(transformers.Qwen2MoeConfig(**shared_config(
        moe_intermediate_size=EXPERT_WIDTH, shared_expert_intermediate_size=7, num_experts=5, num_experts_per_tok=3,
        norm_topk_prob=False))), 3
    yield "qwen3_moe", modeling_qwen3_moe.Qwen3MoeSparseMoeBlock(transformers.Qwen3MoeConfig(**shared_config(
        num_key_value_heads=2, moe_intermediate_size=EXPERT_WIDTH, num_experts=6, num_experts_per_tok=2,
        norm_topk_prob=True))), 2
    for name, method in (("deepseek_v2", "greedy"), ("deepseek_v2_groups", "group_limited_greedy")):
        yield name, modeling_deepseek_v2.DeepseekV2Moe(transformers.DeepseekV2Config(**shared_config(
            moe_intermediate_size=EXPERT_WIDTH, n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3,
            routed_scaling_factor=1.7, topk_method=method, n_group=4, topk_group=2))), 0
    yield "deepseek_v3", modeling_deepseek_v3.DeepseekV3MoE(transformers.DeepseekV3Config(**shared_config(
        moe_intermediate_size=EXPERT_WIDTH, n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3,
        routed_scaling_factor=2.5, n_group=4, topk_group=2, norm_topk_prob=True))), 0
    yield "switch", switch.SwitchTransformersSparseMLP(transformers.SwitchTransformersConfig(
        d_model=WIDTH, d_ff=EXPERT_WIDTH, num_experts=4, expert_capacity=2, router_bias=True, dropout_rate=0.0)), 1


def by_our_names(named):
    """{their name: tensor} -> {our name: tensor}, matrices of experts stacked."""
    ours, parts = {}, {}
    plain = {"gate.weight": "router.weight", "gate.e_score_correction_bias": "router.e_score_correction_bias",
             "router.classifier.weight": "router.weight", "router.classifier.bias": "router.bias",
             "shared_expert_gate.weight": "shared_gate.weight"}
    for name, tensor in named.items():
        if name in plain:
            ours[plain[name]] = tensor
        elif name == "experts.gate_up_proj":
            ours["experts.gate_up.weight"] = tensor.reshape(-1, WIDTH)
        elif name == "experts.down_proj":
            ours["experts.down.weight"] = tensor.reshape(-1, EXPERT_WIDTH)
        else:
            parts[name.replace("shared_experts.", "shared_expert.")] = tensor
    for target, sources in (("shared.gate_up.weight", ("shared_expert.gate_proj.weight", "shared_expert.up_proj.weight")),
                            ("shared.down.weight", ("shared_expert.down_proj.weight",)),
                            ("experts.up.weight", tuple(f"experts.expert_{e}.wi.weight" for e in range(4))),
                            ("experts.down.weight", tuple(f"experts.expert_{e}.wo.weight" for e in range(4)))):
        if sources[0] in parts:
            ours[target] = torch.cat([parts.pop(source) for source in sources])
    assert not parts, f"no place for {sorted(parts)}"
    return ours


def router_logits(layer, x):
    if isinstance(layer, switch.SwitchTransformersSparseMLP):
        return layer.router(x)[2].reshape(-1, layer.router.num_experts)
    return layer.gate(x)[0]


def golden(layer, per_token):
    x = torch.randn(BATCH, TOKENS, WIDTH, requires_grad=True)
    dy = torch.randn(BATCH, TOKENS, WIDTH)
    y = layer(x)
    (y * dy).sum().backward()
    named = dict(layer.named_parameters()) | dict(layer.named_buffers())
    # torch leaves an expert without tokens without a gradient.
    gradients = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in layer.named_parameters()}
    arrays = {"x": x, "dy": dy, "y": y, "dx": x.grad}
    arrays |= {f"weight.{name}": t for name, t in by_our_names(named).items()}
    arrays |= {f"grad.{name}": t for name, t in by_our_names(gradients).items()}
    with torch.no_grad():
        logits = router_logits(layer, x)
        if per_token > 0:
            balance = modeling_mixtral.load_balancing_loss_func((logits,), logits.shape[-1], per_token)
            arrays |= {"balance_loss": balance, "z_loss": switch.router_z_loss_func(logits[None])}
    return {name: t.detach().clone().contiguous() for name, t in arrays.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "model" / "goldens" / "moe"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    for module in (torch, transformers):
        version = module.__version__.split("+")[0]
        if version != PINNED[module.__name__]:
            raise SystemExit(f"{module.__name__} is {version}; the goldens were made with {PINNED[module.__name__]}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(20)
    for name, layer, per_token in layers():
        layer = layer.float().eval()
        for module in layer.modules():
            if hasattr(module, "config"):
                module.config._experts_implementation = "eager"
        with torch.no_grad():
            for tensor in list(layer.parameters()) + list(layer.buffers()):
                tensor.normal_(0, 0.6)
        file = out / f"{name}.safetensors"
        save_file(golden(layer, per_token), file)
        file.chmod(0o644)
        print(f"{file}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
