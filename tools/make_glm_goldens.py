#!/usr/bin/env python3
"""Writes tests/model/goldens/glm and chatglm: tiny prefix decoders of the GLM kind, and what they compute.

Neither is in transformers. The mathematics is that of the papers (Zeng et al. 2022, arXiv:2210.02414; Du et al. 2022,
arXiv:2103.10360) and of the public definitions (GLM-130B at github.com/THUDM/GLM-130B, commit 7636bd8a; ChatGLM-6B's
modeling_chatglm.py), written down here once more on plain tensors. Made with torch 2.15.0 (CPU). The folders are those
of make_goldens.py without steps.json, and forward.safetensors holds the length of each row's prefix.

  python3 tools/make_glm_goldens.py [--out tests/model/goldens]
"""

import math

import torch
from torch.nn.functional import cross_entropy, gelu, layer_norm

import golden_folder

PINNED = "2.15.0"
VOCABULARY, BATCH, TOKENS, WIDTH, LAYERS, HEADS, INNER = 29, 2, 11, 16, 2, 2, 12
EPS, PREFIX = 1e-5, (4, 7)
GMASK, BOS, EOS = 26, 27, 28

# GLM-130B has no class in transformers and no config.json: components by name, weights under Lathe's.
GLM = {"architectures": ["LatheForCausalLM"], "model_type": "lathe", "body": "prefix_decoder",
       "vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
       "intermediate_size": INNER, "max_position_embeddings": 32, "hidden_act": "gelu", "tie_word_embeddings": True,
       "attention_bias": True, "mlp_bias": True,
       "norm": {"kind": "layer", "placement": "glm", "eps": EPS, "bias": True}}
CHATGLM = {"architectures": ["ChatGLMModel"], "model_type": "chatglm", "vocab_size": VOCABULARY, "hidden_size": WIDTH,
           "num_layers": LAYERS, "num_attention_heads": HEADS, "inner_hidden_size": INNER, "max_sequence_length": 32,
           "layernorm_epsilon": EPS, "position_encoding_2d": True, "tie_word_embeddings": False, "quantization_bit": 0,
           "pre_seq_len": None, "bos_token_id": BOS, "eos_token_id": EOS, "gmask_token_id": GMASK, "pad_token_id": 3}


class Names:
    """Where the two keep their weights, and in which order their fused matrices lie."""

    def __init__(self, chat):
        self.chat = chat
        self.embedding = "transformer.word_embeddings" if chat else "embedding"
        self.head = "lm_head" if chat else "embedding"
        self.final_norm = "transformer.final_layernorm" if chat else "final_norm"
        if chat:
            self.layer = "transformer.layers.{}."
            self.parts = {"attention_norm": "input_layernorm", "qkv": "attention.query_key_value",
                          "output": "attention.dense", "ffn_norm": "post_attention_layernorm",
                          "up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}
        else:
            self.layer = "layers.{}."
            self.parts = {"attention_norm": "attention_norm", "qkv": "attention.qkv", "output": "attention.output",
                          "ffn_norm": "ffn_norm", "up": "ffn.gate_up", "down": "ffn.down"}

    def of(self, layer, part):
        return self.layer.format(layer) + self.parts[part]

    def heads(self, qkv):
        """[B,T,3C] -> queries, keys, values [B,T,heads,D]: ChatGLM's lie head by head, Lathe's matrix by matrix."""
        if self.chat:
            return qkv.unflatten(-1, (HEADS, 3, -1)).unbind(-2)
        return qkv.unflatten(-1, (3, HEADS, -1)).unbind(-3)


def fresh_weights(names):
    norms = [names.of(layer, part) for layer in range(LAYERS) for part in ("attention_norm", "ffn_norm")]
    matrices = {}
    for layer in range(LAYERS):
        matrices[names.of(layer, "qkv")] = (3 * WIDTH, WIDTH)
        matrices[names.of(layer, "output")] = (WIDTH, WIDTH)
        matrices[names.of(layer, "up")] = (INNER if names.chat else 2 * INNER, WIDTH)
        matrices[names.of(layer, "down")] = (WIDTH, INNER)
    weights = {f"{name}.weight": 0.2 * torch.randn(VOCABULARY, WIDTH) for name in (names.embedding, names.head)}
    for name in norms + [names.final_norm]:
        weights[f"{name}.weight"] = 1 + 0.2 * torch.randn(WIDTH)
        weights[f"{name}.bias"] = 0.2 * torch.randn(WIDTH)
    for name, shape in matrices.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = 0.2 * torch.randn(shape), 0.2 * torch.randn(shape[0])
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def rotated(x, places):
    """x [B,T,heads,R], places [B,T]: pair i is channels i and i + R/2 and turns by place·10000^(-2i/R)."""
    half = x.shape[-1] // 2
    angles = places[..., None, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float32) / half)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), dim=-1)


def positioned(x, names, prefix):
    place = torch.arange(TOKENS).expand(BATCH, TOKENS)
    if not names.chat:
        return rotated(x, place)
    # Behind the prefix stands <sop>, and its last token is [gMASK]: all that follows fills that place.
    in_text = torch.minimum(place, prefix[:, None] - 1)
    in_blank = (place - prefix[:, None] + 1).clamp(min=0)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((rotated(first, in_text), rotated(second, in_blank)), dim=-1)


def attention(names, dense, layer, x, prefix):
    q, k, v = names.heads(dense(names.of(layer, "qkv"), x))
    q, k = positioned(q, names, prefix), positioned(k, names, prefix)
    scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(WIDTH // HEADS)
    place = torch.arange(TOKENS)
    seen = (place[None, :] <= place[:, None]) | (place[None, None, :] < prefix[:, None, None])
    shares = scores.masked_fill(~seen[:, None], -math.inf).softmax(-1)
    return dense(names.of(layer, "output"), torch.einsum("bhts,bshd->bthd", shares, v).flatten(2))


def feed_forward(names, dense, layer, x):
    up = dense(names.of(layer, "up"), x)
    if names.chat:
        return dense(names.of(layer, "down"), gelu(up, approximate="tanh"))
    gate, value = up.chunk(2, dim=-1)
    return dense(names.of(layer, "down"), gelu(gate) * value)


def logits_of(names, weights, ids, prefix):
    def dense(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        return layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], EPS)

    alpha = math.sqrt(2 * LAYERS)
    x = weights[f"{names.embedding}.weight"][ids]
    for layer in range(LAYERS):
        y = norm(names.of(layer, "attention_norm"), x)
        x = alpha * y + attention(names, dense, layer, y, prefix)
        y = norm(names.of(layer, "ffn_norm"), x)
        x = alpha * y + feed_forward(names, dense, layer, y)
    return norm(names.final_norm, x) @ weights[f"{names.head}.weight"].T


def write_golden(folder, config):
    names = Names(config["model_type"] == "chatglm")
    torch.manual_seed(20)
    weights = fresh_weights(names)
    prefix = torch.tensor(PREFIX)
    ids = torch.randint(4, GMASK, (BATCH, TOKENS))
    labels = ids.clone()
    for row, length in enumerate(PREFIX):
        ids[row, length - 1], ids[row, length] = GMASK, BOS
        labels[row, :length + 1] = -100  # what follows <sop> is learnt
    labels[0, 6] = -100
    logits = logits_of(names, weights, ids, prefix)
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    arrays = {"input_ids": ids.int(), "labels": labels.int(), "prefix": prefix.int(),
              "logits": logits.detach().contiguous(), "loss": loss.detach()}
    golden_folder.write_golden(folder, config, weights, arrays)


def main():
    out = golden_folder.golden_folder(__doc__, PINNED)
    for name, config in {"glm": GLM, "chatglm": CHATGLM}.items():
        write_golden(out / name, config)


if __name__ == "__main__":
    main()
