#!/usr/bin/env python3
"""Writes tests/model/goldens/minimind*: tiny MiniMind models, dense and with experts, and what they compute.

MiniMind is not in transformers. Its mathematics, as its public definition (github.com/jingyaogong/minimind,
model/model_minimind.py at commit d65ef2c0) has it, is written down here once more on plain tensors. Made with torch
2.15.0 (CPU). The folders are those of make_goldens.py without steps.json.

  python3 tools/make_minimind_goldens.py [--out tests/model/goldens]
"""

import json
import math

import torch
from torch.nn.functional import cross_entropy, silu

import golden_folder

PINNED = "2.15.0"
VOCABULARY, BATCH, TOKENS = 29, 2, 11
BASE = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 12, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": True,
        "inference_rope_scaling": False, "dropout": 0.0, "use_moe": False, "bos_token_id": 1, "eos_token_id": 2}
MODELS = {
    "minimind": BASE,
    "minimind-yarn": BASE | {"inference_rope_scaling": True, "rope_theta": 1e4},
    "minimind-moe": BASE | {"use_moe": True, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 7,
                            "norm_topk_prob": True, "router_aux_loss_coef": 5e-4, "tie_word_embeddings": False},
    # MiniMind-2, whose definition is that of commit 1279a61.
    "minimind2": BASE | {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
                         "scoring_func": "softmax", "norm_topk_prob": True, "aux_loss_alpha": 0.01, "seq_aux": True},
}
MODELS["minimind2-moe"] = MODELS["minimind2"] | {"use_moe": True}


def is_second(c):
    return "n_routed_experts" in c


def expert_count(c):
    return c["n_routed_experts" if is_second(c) else "num_experts"]


def fresh_weights(c):
    """Name on disk -> tensor."""
    width, heads = c["hidden_size"], c["head_dim"]
    shapes = {"model.embed_tokens.weight": (VOCABULARY, width), "model.norm.weight": (width,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (VOCABULARY, width)
    for layer in range(c["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        queries, keys = c["num_attention_heads"] * heads, c["num_key_value_heads"] * heads
        attention = {"q_proj": (queries, width), "k_proj": (keys, width), "v_proj": (keys, width),
                     "o_proj": (width, queries)}
        if not is_second(c):
            attention |= {"q_norm": (heads,), "k_norm": (heads,)}
        shapes |= {f"{here}self_attn.{name}.weight": shape for name, shape in attention.items()}
        shapes |= {f"{here}{name}.weight": (width,) for name in ("input_layernorm", "post_attention_layernorm")}
        mlps, inner = ["mlp."], c["intermediate_size"]
        if c["use_moe"]:
            experts, inner = expert_count(c), c.get("moe_intermediate_size", inner)
            mlps = [f"mlp.experts.{e}." for e in range(experts)] + ["mlp.shared_experts.0."] * is_second(c)
            shapes[f"{here}mlp.gate.weight"] = (experts, width)
        for mlp in mlps:
            shapes |= {f"{here}{mlp}{name}.weight": (inner, width) for name in ("gate_proj", "up_proj")}
            shapes[f"{here}{mlp}down_proj.weight"] = (width, inner)
    return {name: (1.0 + 0.2 * torch.randn(shape) if len(shape) == 1 else 0.2 * torch.randn(shape)).requires_grad_()
            for name, shape in shapes.items()}


def rms_norm(x, gain, eps):
    return gain * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def rotation(c):
    """cos and sin [T, D/2] of each position's angles, the slow ones stretched 16-fold by YaRN (arXiv:2309.00071)."""
    pairs = torch.arange(c["head_dim"] // 2, dtype=torch.float32)
    speed = c["rope_theta"] ** (-2 * pairs / c["head_dim"])
    if c["inference_rope_scaling"]:
        factor, trained = 16, 2048

        def pair_of(turns):  # the pair that turns so often within the trained length
            return c["head_dim"] * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(c["rope_theta"]))

        low, high = max(math.floor(pair_of(32)), 0), min(math.ceil(pair_of(1)), len(pairs) - 1)
        stretched = ((pairs - low) / max(high - low, 0.001)).clamp(0, 1)
        speed = speed * (1 - stretched + stretched / factor)
    angles = torch.arange(TOKENS)[:, None] * speed
    return angles.cos(), angles.sin()


def rotated(x, cos, sin):
    """x [B, heads, T, D]; pair i is channels i and i + D/2."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def attention(c, w, x, cos, sin):
    def heads(name, count):
        return (x @ w(f"{name}_proj").T).unflatten(-1, (count, c["head_dim"])).transpose(1, 2)

    q = heads("q", c["num_attention_heads"])
    k, v = heads("k", c["num_key_value_heads"]), heads("v", c["num_key_value_heads"])
    if not is_second(c):
        q, k = (rms_norm(x, w(f"{name}_norm"), c["rms_norm_eps"]) for name, x in (("q", q), ("k", k)))
    q, k = rotated(q, cos, sin), rotated(k, cos, sin)
    group = c["num_attention_heads"] // c["num_key_value_heads"]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-1, -2) / math.sqrt(c["head_dim"])
    hidden = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2) @ w("o_proj").T


def mlp(_, w, x):
    return (silu(x @ w("gate_proj").T) * (x @ w("up_proj").T)) @ w("down_proj").T


def mixture(c, w, x):
    """Every expert sees every token; those that a token did not choose have weight 0."""
    share = (x @ w("gate").T).softmax(-1)
    best = share.topk(c["num_experts_per_tok"], dim=-1)
    weights = torch.zeros_like(share).scatter(-1, best.indices, best.values)
    if c["norm_topk_prob"]:
        weights = weights / weights.sum(-1, keepdim=True)
    chosen = sum(weights[..., e, None] * mlp(c, lambda name, e=e: w(f"experts.{e}.{name}"), x)
                 for e in range(expert_count(c)))
    return chosen + mlp(c, lambda name: w(f"shared_experts.0.{name}"), x) if is_second(c) else chosen


def logits_of(c, weights, ids):
    cos, sin = rotation(c)
    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(c["num_hidden_layers"]):
        def w(name, here=f"model.layers.{layer}."):
            return weights[f"{here}{name}.weight"]

        h = rms_norm(x, w("input_layernorm"), c["rms_norm_eps"])
        x = x + attention(c, lambda name: w(f"self_attn.{name}"), h, cos, sin)
        h = rms_norm(x, w("post_attention_layernorm"), c["rms_norm_eps"])
        x = x + (mixture if c["use_moe"] else mlp)(c, lambda name: w(f"mlp.{name}"), h)
    x = rms_norm(x, weights["model.norm.weight"], c["rms_norm_eps"])
    return x @ weights["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"].T


def write_golden(name, c, folder):
    torch.manual_seed(20)
    weights = fresh_weights(c)
    ids = torch.randint(3, VOCABULARY, (BATCH, TOKENS))
    labels = ids.clone()
    labels[0, 3] = labels[1, 7] = labels[1, 8] = -100
    logits = logits_of(c, weights, ids)
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    config = {"architectures": ["MiniMindForCausalLM"], "model_type": "minimind"} | c
    arrays = {"input_ids": ids.int(), "labels": labels.int(), "logits": logits.detach().contiguous(),
              "loss": loss.detach()}
    golden_folder.write_golden(folder, config, weights, arrays)


def main():
    out = golden_folder.golden_folder(__doc__, PINNED)
    for name, config in MODELS.items():
        write_golden(name, config, out / name)


if __name__ == "__main__":
    main()
