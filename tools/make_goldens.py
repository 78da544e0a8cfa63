#!/usr/bin/env python3
"""Writes tests/model/goldens: tiny models with what transformers and PyTorch compute from them.

Made with torch 2.15.0 (CPU) and transformers 5.23.0; running it again with those gives the same numbers to
rounding. Each folder holds

  model/                 a Hugging Face folder (config.json, model.safetensors)
  forward.safetensors    input_ids [B,T], labels [B,T] (-100 ignored, not yet shifted), logits [B,T,V], loss,
                         grad.<name on disk> for every parameter
  steps.json             settings of AdamW and the schedule, a stream of tokens, and the loss, learning rate and
                         gradient norm before clipping of ten steps over it; row j of step i (from 0) is the
                         T + 1 tokens from (i·B + j)·T on

  python3 tools/make_goldens.py [--out tests/model/goldens]
"""

import argparse
import json
import math
import pathlib
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

PINNED = {"torch": "2.15.0", "transformers": "5.23.0"}

VOCABULARY, BATCH, TOKENS = 29, 2, 11
ADAMW = {"lr": 2e-2, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "grad_clip": 1.0}
SCHEDULE = {"name": "cosine", "warmup_steps": 3, "min_lr_ratio": 0.1}
STEPS = 10


def configs():
    """(name, config); those in TRAINED also get ten steps of training."""
    yield "llama", transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, rms_norm_eps=1e-5, tie_word_embeddings=False,
        attention_dropout=0.0, initializer_range=0.2)
    yield "gpt2", transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=16, n_inner=24, attn_pdrop=0.0,
        resid_pdrop=0.0, embd_pdrop=0.0, tie_word_embeddings=True, initializer_range=0.2)
    yield from later_families()


TRAINED = ("llama", "gpt2")


def later_families():
    """The smallest models in which every rule of a family matters: two layers, odd widths."""
    auto = transformers.AutoConfig.for_model
    base = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, max_position_embeddings=32, initializer_range=0.2, bos_token_id=1, eos_token_id=2,
                pad_token_id=0)
    no_dropout = dict(attention_dropout=0.0, hidden_dropout=0.0)
    plain = {k: v for k, v in base.items() if k not in ("num_key_value_heads", "intermediate_size")}
    n_names = dict(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32, n_inner=12, initializer_range=0.2,
                   attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, bos_token_id=1, eos_token_id=2)
    experts = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, decoder_sparse_step=1,
                   norm_topk_prob=True, mlp_only_layers=[])
    latent = dict(base, num_key_value_heads=2, moe_intermediate_size=8, n_routed_experts=4, num_experts_per_tok=2,
                  n_shared_experts=1, first_k_dense_replace=1, kv_lora_rank=6, q_lora_rank=5, qk_nope_head_dim=4,
                  qk_rope_head_dim=4, v_head_dim=5, n_group=2, topk_group=1)
    for kind, keys in (("llama3", dict(rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0)),
                       ("yarn", dict(rope_type="yarn")), ("linear", dict(rope_type="linear")),
                       ("dynamic", dict(rope_type="dynamic"))):
        rope = dict(keys, rope_theta=100.0, factor=4.0)
        if kind in ("llama3", "yarn"):
            rope["original_max_position_embeddings"] = 8
        yield f"llama-{kind}", auto("llama", **dict(base, max_position_embeddings=8 if kind == "dynamic" else 32),
                                    rope_parameters=rope)
    yield "mistral", auto("mistral", **base, head_dim=6, sliding_window=4)
    yield "mixtral", auto("mixtral", **base, num_local_experts=4, num_experts_per_tok=2, sliding_window=None)
    yield "qwen2", auto("qwen2", **base, use_sliding_window=True, sliding_window=4, max_window_layers=1)
    yield "qwen3", auto("qwen3", **base, head_dim=6)
    yield "qwen2_moe", auto("qwen2_moe", **base, **experts, shared_expert_intermediate_size=12)
    yield "qwen3_moe", auto("qwen3_moe", **base, **experts, head_dim=6)
    yield "deepseek_v2", auto("deepseek_v2", **latent, topk_method="group_limited_greedy", routed_scaling_factor=1.5)
    yield "deepseek_v3", auto("deepseek_v3", **latent, routed_scaling_factor=2.5)
    yield "gemma2", auto("gemma2", **base, head_dim=6, query_pre_attn_scalar=20, sliding_window=4,
                         attn_logit_softcapping=5.0, final_logit_softcapping=3.0)
    yield "gemma3_text", auto("gemma3_text", **base, head_dim=6, query_pre_attn_scalar=20, sliding_window=4,
                              layer_types=["sliding_attention", "full_attention"])
    yield "phi3", auto("phi3", **base, rope_parameters=dict(
        rope_type="longrope", rope_theta=100.0, short_factor=[1.0, 1.5, 2.0, 2.5], long_factor=[2.0, 3.0, 4.0, 5.0],
        original_max_position_embeddings=8), original_max_position_embeddings=8)
    yield "olmo2", auto("olmo2", **base)
    yield "cohere", auto("cohere", **base, logit_scale=0.3)
    yield "glm4", auto("glm4", **base, head_dim=8, attention_bias=True)
    yield "gpt_neo", auto("gpt_neo", vocab_size=VOCABULARY, hidden_size=16, num_layers=2, num_heads=2, window_size=4,
                          max_position_embeddings=32, attention_types=[[["global", "local"], 1]], intermediate_size=12,
                          initializer_range=0.2, attention_dropout=0, embed_dropout=0, resid_dropout=0,
                          bos_token_id=1, eos_token_id=2)
    yield "gptj", auto("gptj", **n_names, rotary_dim=4, tie_word_embeddings=False)
    yield "gpt_neox", auto("gpt_neox", **dict(plain, intermediate_size=12), rotary_pct=0.5, **no_dropout)
    yield "opt", auto("opt", **plain, ffn_dim=12, word_embed_proj_dim=16, init_std=0.2, dropout=0.0, attention_dropout=0.0)
    yield "bloom", auto("bloom", vocab_size=VOCABULARY, hidden_size=16, n_layer=2, n_head=2, initializer_range=0.2,
                        bos_token_id=1, eos_token_id=2, **no_dropout)
    yield "falcon", auto("falcon", **plain, multi_query=True, parallel_attn=True, bias=False, alibi=False, **no_dropout)
    yield "falcon-grouped", auto("falcon", **dict(plain, num_attention_heads=4), num_kv_heads=2, bias=False, alibi=False,
                                 new_decoder_architecture=True, **no_dropout)
    yield "falcon-alibi", auto("falcon", **plain, multi_query=False, parallel_attn=False, bias=True, alibi=True,
                               **no_dropout)


    two_stacks = dict(vocab_size=VOCABULARY, d_model=16, d_kv=6, d_ff=12, num_layers=2, num_decoder_layers=3, num_heads=2,
                      dropout_rate=0.0, relative_attention_num_buckets=8, relative_attention_max_distance=12,
                      initializer_factor=0.4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    yield "t5", auto("t5", **two_stacks, feed_forward_proj="relu")
    yield "t5-gated", auto("t5", **two_stacks, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    yield "ul2", auto("t5", **two_stacks, feed_forward_proj="gated-silu", tie_word_embeddings=False)
    yield "switch_transformers", auto("switch_transformers", **dict(two_stacks, num_decoder_layers=2), num_experts=4,
                                      expert_capacity=6, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1,
                                      router_jitter_noise=0.0)
    yield "bert", auto("bert", **plain, intermediate_size=12, hidden_dropout_prob=0, attention_probs_dropout_prob=0)


# Models that are not decoders alone: how they are made, and what they read beside input_ids.
OTHER_BODIES = {"t5": transformers.AutoModelForSeq2SeqLM, "switch_transformers": transformers.AutoModelForSeq2SeqLM,
                "bert": transformers.AutoModelForMaskedLM}


def randomize_gains(model):
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(0.2 * torch.randn_like(parameter))


BUFFERS = ("e_score_correction_bias", "masked_bias", ".attn.bias", "inv_freq")


def named_gradients(model):
    """Under the names on disk, which save_pretrained() knows: gradients are saved in the place of weights."""
    kept = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
        model.save_pretrained(folder)
        for p, value in zip(model.parameters(), kept):
            p.copy_(value)
        gradients = load_file(pathlib.Path(folder) / "model.safetensors")
    return {f"grad.{name}": g for name, g in gradients.items() if not name.endswith(BUFFERS)}


def write_forward(model, folder, first_id):
    ids = torch.randint(first_id, VOCABULARY, (BATCH, TOKENS))
    labels = ids.clone()
    labels[0, 3] = labels[1, 7] = labels[1, 8] = -100
    inputs = {"input_ids": ids, "labels": labels}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.roll(ids, 1, dims=1)
        inputs["input_ids"] = torch.randint(first_id, VOCABULARY, (BATCH, TOKENS - 3))
    if model.config.model_type == "bert":
        inputs["token_type_ids"] = torch.randint(0, 2, ids.shape)
    model.zero_grad()
    out = model(**inputs)
    out.loss.backward()
    arrays = {name: value.int().contiguous() for name, value in inputs.items()}
    arrays |= {"logits": out.logits.detach().contiguous(),
              "loss": out.loss.detach().reshape(())}
    save_file(arrays | named_gradients(model), folder / "forward.safetensors")


def learning_rate(step):
    if step <= SCHEDULE["warmup_steps"]:
        return ADAMW["lr"] * step / SCHEDULE["warmup_steps"]
    done = (step - SCHEDULE["warmup_steps"]) / (STEPS - SCHEDULE["warmup_steps"])
    low = SCHEDULE["min_lr_ratio"]
    return ADAMW["lr"] * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


def write_steps(model, folder):
    groups = [{"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": ADAMW["weight_decay"]},
              {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])
    stream = torch.randint(0, VOCABULARY, (STEPS * BATCH * TOKENS + 1,))
    windows = stream.unfold(0, TOKENS + 1, TOKENS).reshape(STEPS, BATCH, TOKENS + 1)
    steps = []
    for step, batch in enumerate(windows, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        logits = model(input_ids=batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), batch[:, 1:].reshape(-1))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["grad_clip"])
        optimizer.step()
        steps.append({"loss": loss.item(), "lr": learning_rate(step), "grad_norm": norm.item()})
    content = {"optim": {"name": "adamw", **ADAMW}, "schedule": SCHEDULE, "batch_size": BATCH, "seq_len": TOKENS,
               "tokens": stream.tolist(), "steps": steps}
    (folder / "steps.json").write_text(json.dumps(content) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "model" / "goldens"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    parser.add_argument("--only", default="", help="names, with commas between; default all")
    options = parser.parse_args()
    out, only = options.out, options.only.split(",") if options.only else None
    for module in (torch, transformers):
        version = module.__version__.split("+")[0]
        if version != PINNED[module.__name__]:
            raise SystemExit(f"{module.__name__} is {version}; the goldens were made with {PINNED[module.__name__]}")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for name, config in configs():
        if only is not None and name not in only:
            continue
        torch.manual_seed(20)
        # Falcon's eager path adds ALiBi twice, once in the mask; its default path is the model.
        config._attn_implementation = "sdpa" if name == "falcon-alibi" else "eager"
        auto = OTHER_BODIES.get(config.model_type, transformers.AutoModelForCausalLM)
        model = auto.from_config(config).float().train()
        randomize_gains(model)
        folder = out / name
        model.save_pretrained(folder / "model")
        # Rows of padding ids are zero and get no gradient there: special ids stay out.
        write_forward(model, folder, first_id=0 if name in TRAINED else 3)
        if name in TRAINED:
            write_steps(model, folder)
        for file in folder.rglob("*.safetensors"):
            file.chmod(0o644)
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        print(f"{folder}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
