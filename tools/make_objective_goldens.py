#!/usr/bin/env python3
"""Writes tests/train/goldens/objectives.json: losses, their derivatives and metrics of every objective over answers.

Made with trl 1.16.0 and torch 2.15.0 (CPU), in float64. Run from the project's root:

    python3 tools/make_objective_goldens.py

Where trl keeps a loss inside a method of a trainer, the method is called on an object that has the settings and hands
over numbers for log-probabilities; no model is involved. What trl lacks (PPO, REINFORCE++, the smoothed sigmoid, the
alpha divergence in double) is written out from the papers that the objective's file names.
"""

import collections
import json
import pathlib
import random
import types

import torch
import torch.nn.functional as F
import trl
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

PINNED = {"trl": "1.16.0", "torch": "2.15.0"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/train/goldens/objectives.json"


# ------------------------------------------------------------------------------------------------ inputs


def numbers(stream, count, low, high):
    return [round(stream.uniform(low, high), 4) for _ in range(count)]


def near(stream, values, spread):
    return [round(min(-0.001, x + stream.uniform(-spread, spread)), 4) for x in values]


def pair_input(seed, prompts, chosen, rejected, with_prompts=False):
    s = random.Random(seed)
    lengths = chosen + rejected
    tokens = sum(lengths) + (sum(p - 1 for p in prompts) if with_prompts else 0)
    logps = numbers(s, tokens, -4, -0.05)
    return {
        "prompts": prompts,
        "lengths": lengths,
        "logps": logps,
        "reference": near(s, logps, 1.5),
        "entropy": numbers(s, tokens, 0.1, 3),
        "collision": numbers(s, tokens, -3, -0.1),
    }


def labelled_input(seed, labels, lengths):
    s = random.Random(seed)
    logps = numbers(s, sum(lengths), -4, -0.05)
    crossed = numbers(s, len(lengths), -9, -2)
    return {
        "prompts": [2] * len(lengths),
        "lengths": lengths,
        "labels": labels,
        "logps": logps,
        "reference": near(s, logps, 1.5),
        "crossed": crossed,
        "crossed_reference": [round(x - s.uniform(-0.3, 1.2), 4) for x in crossed],
    }


def rollout_input(seed, groups, lengths, rewards, spread, recorded=True):
    s = random.Random(seed)
    tokens = sum(lengths)
    logps = numbers(s, tokens, -3, -0.05)
    values = numbers(s, tokens, -1, 1)
    made = {
        "prompts": [2] * len(lengths),
        "lengths": lengths,
        "groups": groups,
        "rewards": rewards,
        "logps": logps,
        "entropy": numbers(s, tokens, 0.1, 3),
        "reference": near(s, logps, 1.0),
        "old_values": values,
        "values": [round(v + s.uniform(-0.6, 0.6), 4) for v in values],
    }
    if recorded:
        made["old_logps"] = near(s, logps, spread)
    return made


INPUTS = {
    "single": {
        "prompts": [1, 3, 2],
        "lengths": [2, 1, 4],
        "logps": numbers(random.Random(1), 7, -5, -0.05),
        "entropy": numbers(random.Random(13), 7, 0.1, 3),
        "divergence": numbers(random.Random(14), 7, 0.01, 2),
        "best": [1, 0, 1, 1, 0, 0, 1],
    },
    "pairs": pair_input(2, [1, 3, 2], [2, 4, 1], [3, 1, 2]),
    "one_pair": pair_input(3, [2], [3], [1]),
    "far_pairs": pair_input(4, [1, 1], [40, 30], [25, 38]),
    "pairs_and_prompts": pair_input(5, [1, 3, 2], [2, 4, 1], [3, 1, 2], with_prompts=True),
    "labelled": labelled_input(6, [1, 0, 0, 1], [2, 3, 1, 4]),
    "all_good": labelled_input(7, [1, 1], [2, 3]),
    "no_kl": {**labelled_input(8, [0, 1], [2, 3]), "crossed": [-9.0, -8.0], "crossed_reference": [-3.0, -2.0]},
    "scores": {"prompts": [1, 1, 1], "lengths": [1] * 6, "scores": [0.4, -1.2, 30.0, 0.9, -1.3, -25.0]},
    "margins": {
        "prompts": [1, 1],
        "lengths": [1] * 4,
        "scores": [0.4, -1.2, 0.9, -1.3],
        "margins": [0.5, -2.0],
    },
    "steps": {
        "prompts": [1, 2],
        "lengths": [3, 1],
        "step_labels": [1, 0, 1, 1],
        "scores": [0.3, -0.7, 1.2, 0.4, -20.0, 25.0, 0.6, 0.5],
    },
    "rollouts": rollout_input(9, [0, 0, 0, 4, 4], [2, 3, 1, 4, 2], [1.0, 0.0, 0.5, -2.0, 1.0], 0.5),
    "far_rollouts": rollout_input(10, [1, 0, 1, 0], [3, 2, 4, 1], [1.0, 3.0, -1.0, 0.0], 2.5),
    "fresh_rollouts": rollout_input(11, [0, 0, 1, 1], [2, 3, 1, 2], [1.0, 0.0, 0.0, 0.0], 0, recorded=False),
    "equal_rewards": rollout_input(12, [0, 0], [2, 3], [1.0, 1.0], 0.4),
}


# ------------------------------------------------------------------------------------------------ numbers as tables


class Case:
    """The numbers of an input as leaves, and as padded tables over the answers' tokens."""

    def __init__(self, given, objective):
        self.o = objective
        self.given = given
        self.lengths = given["lengths"]
        self.width = max(self.lengths)
        self.leaves = {}
        for name in ("logps", "entropy", "divergence", "values", "scores"):
            if name in given:
                self.leaves[name] = torch.tensor(given[name], requires_grad=True)
        self.mask = torch.zeros(len(self.lengths), self.width, dtype=torch.long)
        for s, n in enumerate(self.lengths):
            self.mask[s, :n] = 1

    def __getattr__(self, name):
        return self.table(name)

    def flat(self, name):
        return self.leaves[name] if name in self.leaves else torch.tensor(self.given[name], dtype=torch.float64)

    def table(self, name, skip=()):
        """`skip`: how many numbers of each sequence precede those of its answer."""
        x, rows, at = self.flat(name), [], 0
        for s, n in enumerate(self.lengths):
            before = skip[s] if s < len(skip) else 0
            rows.append(F.pad(x[at + before : at + before + n], (0, self.width - n)))
            at += before + n
        return torch.stack(rows)

    def list(self, table):
        return [x for s, n in enumerate(self.lengths) for x in table[s, :n].tolist()]

    def mean(self, table):
        return (table * self.mask).sum() / self.mask.sum()

    def get(self, key, default):
        return self.o.get(key, default)


class OneProcess:
    device, num_processes, process_index, sync_gradients = torch.device("cpu"), 1, 0, True

    def gather(self, x):
        return x

    gather_for_metrics = unwrap_model = gather

    def pad_across_processes(self, x, **_):
        return x

    def reduce(self, x, reduction=None):
        return x


class NoModel(torch.nn.Module):
    is_gradient_checkpointing = False


def stand_in(**settings):
    recorded = {"train": collections.defaultdict(list), "eval": collections.defaultdict(list)}
    return types.SimpleNamespace(
        accelerator=OneProcess(),
        aux_loss_enabled=False,
        model=NoModel().eval(),
        _metrics=recorded,
        _total_train_tokens=0,
        _tp_size=1,
        **settings,
    )


def recorded(trainer, *names):
    found = trainer._metrics["eval"]
    return {name: float(found[name][-1]) for name in names if found.get(name)}


def says(**tables):
    return lambda **_: types.SimpleNamespace(aux_loss=None, **tables)


def behind_a_token(mask):
    return F.pad(mask, (1, 0))


# ------------------------------------------------------------------------------------------------ losses


def sft(c):
    logps = c.leaves["logps"]
    each = -(logps.exp().detach() * logps) if c.get("loss", "nll") == "dft" else -logps
    best = c.given["best"]
    return each.mean(), {"mean_token_accuracy": sum(best) / len(best), "entropy": c.leaves["entropy"].mean().item()}


def distill(c):
    nll, divergence, w = -c.leaves["logps"].mean(), c.leaves["divergence"].mean(), c.get("ce_weight", 0.0)
    return w * nll + (1 - w) * divergence, {"nll": nll.item(), "divergence": divergence.item()}


def nll_of_chosen(c):
    chosen = len(c.lengths) // 2
    return -c.logps[:chosen].sum() / c.mask[:chosen].sum()


def dpo(c):
    o = c.o
    kinds, weights = [c.get("loss", "sigmoid")], [1.0]
    if o.get("nll_weight"):
        kinds.append("sft")
        weights.append(o["nll_weight"])
    divergence = c.get("f_divergence_type", "reverse_kl")
    by_hand = divergence == "alpha_divergence"
    mask = behind_a_token(c.mask)
    zero = torch.zeros_like(c.logps)
    unused = {"entropy": zero, "log_sum_sq_probs": zero, "mean_logits": zero, "is_top1": zero.bool()}
    t = stand_in(
        ld_alpha=o.get("ld_alpha"),
        precompute_ref_logps=False,
        ref_model=says(log_probs=c.reference, **unused),
        f_divergence_type="reverse_kl" if by_hand else divergence,
        f_alpha_divergence_coef=0.5,
        loss_types=kinds,
        loss_weights=weights,
        beta=c.get("beta", 0.1),
        label_smoothing=c.get("label_smoothing", 0.0),
        use_weighting=c.get("use_weighting", False),
        args=types.SimpleNamespace(discopop_tau=c.get("discopop_tau", 0.05), gradient_checkpointing_kwargs=None),
    )
    model = says(log_probs=c.logps, **{**unused, "log_sum_sq_probs": c.collision})
    batch = {"input_ids": torch.zeros_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    loss = DPOTrainer._compute_loss(t, model, batch, False)
    chosen, rejected = ((c.logps - c.reference).sum(1)).chunk(2)
    if by_hand:
        a = o["f_alpha_divergence_coef"] - 1
        x = o["beta"] * (torch.expm1(a * chosen) - torch.expm1(a * rejected)) / a
        loss = -F.logsigmoid(x).mean()
    if kinds[0] == "sigmoid" and o.get("label_smoothing"):
        e, x = o["label_smoothing"], c.get("beta", 0.1) * (chosen - rejected)
        loss = (-(1 - e) * F.logsigmoid(x) - e * F.logsigmoid(-x)).mean()
    metrics = recorded(t, "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins")
    if o.get("nll_weight"):
        metrics["nll_loss"] = nll_of_chosen(c).item()
    return loss, metrics


def kto(c):
    with_kl = c.get("loss", "kto") == "kto"
    mask = behind_a_token(c.mask)
    t = stand_in(
        calculate_KL=with_kl,
        precompute_ref_logps=False,
        ref_model=says(log_probs=c.reference),
        loss_type=c.get("loss", "kto"),
        beta=c.get("beta", 0.1),
        desirable_weight=c.get("desirable_weight", 1.0),
        undesirable_weight=c.get("undesirable_weight", 1.0),
        args=types.SimpleNamespace(gradient_checkpointing_kwargs=None),
    )
    own, other = c.flat("crossed"), c.flat("crossed_reference")
    zero = torch.zeros_like(c.logps)
    model = says(log_probs=c.logps, entropy=zero, mean_logits=zero, is_top1=zero.bool())
    t._compute_kl_logps = lambda asked, batch: None if not with_kl else own if asked is model else other
    batch = {"input_ids": torch.zeros_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    batch["label"] = torch.tensor([bool(x) for x in c.given["labels"]])
    loss = KTOTrainer._compute_loss(t, model, batch, False)
    return loss, recorded(t, "kl", "rewards/chosen", "rewards/rejected")


def pair_metrics(chosen, rejected):
    return {
        "rewards/chosen": chosen.mean().item(),
        "rewards/rejected": rejected.mean().item(),
        "rewards/margins": (chosen - rejected).mean().item(),
        "rewards/accuracies": (chosen > rejected).double().mean().item(),
    }


def cpo(c):
    kind = c.get("loss", "sigmoid")
    logps = c.logps.sum(1)
    if kind in ("simpo", "ipo"):
        logps = logps / c.mask.sum(1)
    t = stand_in(
        alpha=c.get("alpha", 0.0),
        beta=c.get("beta", 0.1),
        simpo_gamma=c.get("simpo_gamma", 0.5),
        label_smoothing=c.get("label_smoothing", 0.0),
        loss_type=kind,
    )
    losses, chosen, rejected = CPOTrainer.cpo_loss(t, *logps.chunk(2))
    nll = nll_of_chosen(c)
    return losses.mean() + c.get("cpo_alpha", 1.0) * nll, {"nll_loss": nll.item(), **pair_metrics(chosen, rejected)}


def orpo(c):
    pairs = len(c.lengths) // 2
    fronts = [p - 1 for p in c.given["prompts"]]
    per_token = c.table("logps", fronts).sum(1) / c.mask.sum(1)
    as_float, torch.Tensor.float = torch.Tensor.float, lambda x: x  # the method rounds to single precision
    try:
        losses, chosen, rejected, ratio, odds = ORPOTrainer.odds_ratio_loss(
            stand_in(beta=c.get("beta", 0.1)), *per_token.chunk(2)
        )
    finally:
        torch.Tensor.float = as_float
    scored = sum(fronts) + sum(c.lengths[:pairs])
    nll = -c.leaves["logps"][:scored].sum() / scored
    metrics = {"nll_loss": nll.item(), "log_odds_ratio": ratio.item(), "log_odds_chosen": odds.item()}
    return nll - losses.mean(), {**metrics, **pair_metrics(chosen, rejected)}


def reward(c):
    scores = c.leaves["scores"]
    t = stand_in(args=types.SimpleNamespace(center_rewards_coefficient=c.get("center_rewards_coefficient", None)))
    inputs = {"attention_mask": torch.ones(1)}
    if "margins" in c.given:
        inputs["margin"] = c.flat("margins")
    loss = RewardTrainer.compute_loss(t, says(logits=scores[:, None]), inputs)
    return loss, recorded(t, "accuracy", "margin", "min_reward", "mean_reward", "max_reward")


# The loss of transformers' token classifiers, which TRL's PRMTrainer trains.
def prm(c):
    scores, labels = c.leaves["scores"].reshape(-1, 2), torch.tensor(c.given["step_labels"])
    accuracy = (scores.argmax(1) == labels).double().mean().item()
    metrics = {"accuracy": accuracy, "probability_right": scores.softmax(1)[:, 1].mean().item()}
    return F.cross_entropy(scores, labels), metrics


def by_group(c):
    groups = c.given["groups"]
    for group in sorted(set(groups)):
        yield torch.tensor([i for i, g in enumerate(groups) if g == group])


def grpo(c):
    rewards = c.flat("rewards")
    advantages, scale = torch.zeros_like(rewards), c.get("scale_rewards", "group")
    for group in by_group(c):
        off = rewards[group] - rewards[group].mean()
        advantages[group] = off / (rewards[group].std() + 1e-4) if scale == "group" else off
    if scale == "batch":
        advantages = advantages / (rewards.std() + 1e-4)
    t = stand_in(
        loss_type=c.get("loss", "dapo"),
        beta=c.get("beta", 0.0),
        epsilon_low=c.get("epsilon", 0.2),
        epsilon_high=c.get("epsilon_high", c.get("epsilon", 0.2)),
        importance_sampling_level=c.get("importance_sampling_level", "token"),
        top_entropy_quantile=c.get("top_entropy_quantile", 1.0),
        off_policy_mask_threshold=c.get("off_policy_mask_threshold", None),
        use_vllm=False,
        vllm_importance_sampling_correction=False,
        max_completion_length=c.get("max_completion_length", 256),
        _entropy_bonus_enabled=c.get("entropy_coef", 0) > 0,
        entropy_coef=c.get("entropy_coef", 0.0),
        use_adaptive_entropy=False,
        current_gradient_accumulation_steps=1,
        args=types.SimpleNamespace(
            delta=c.get("delta", None),
            use_bias_correction_kl=c.get("use_bias_correction_kl", False),
            steps_per_generation=1,
            sapo_temperature_pos=c.get("sapo_temperature_pos", 1.0),
            sapo_temperature_neg=c.get("sapo_temperature_neg", 1.05),
            vespo_k_pos=c.get("vespo_k_pos", 2.0),
            vespo_lambda_pos=c.get("vespo_lambda_pos", 3.0),
            vespo_k_neg=c.get("vespo_k_neg", 3.0),
            vespo_lambda_neg=c.get("vespo_lambda_neg", 2.0),
        ),
    )
    t._get_per_token_logps_and_entropies = lambda *_, **__: (c.logps, c.entropy, None)
    for name in ("get_high_entropy_mask", "get_off_policy_mask", "get_gamma_weights"):
        method = GRPOTrainer.__dict__[name]
        setattr(t, name, method.__func__ if isinstance(method, staticmethod) else types.MethodType(method, t))
    one = torch.ones(len(c.lengths), 1, dtype=torch.long)
    inputs = {
        "prompt_ids": one,
        "prompt_mask": one,
        "completion_ids": torch.zeros_like(c.mask),
        "completion_mask": c.mask,
        "advantages": advantages,
        "num_items_in_batch": c.mask.sum(),
    }
    if "old_logps" in c.given:
        inputs["old_per_token_logps"] = c.old_logps
    if c.get("beta", 0.0):
        inputs["ref_per_token_logps"] = c.reference
    loss = GRPOTrainer._compute_loss(t, None, inputs)
    c.advantages_list = c.list(advantages[:, None].expand(-1, c.width))
    return loss, recorded(t, "kl", "entropy", "clip_ratio/region_mean", "cispo_clip_ratio")


def rloo(c):
    old = c.old_logps if "old_logps" in c.given else c.logps.detach()
    rewards, kl = c.flat("rewards"), 0.0
    if c.get("beta", 0.0):
        own = ((old - c.reference) * c.mask).sum(1)
        rewards, kl = rewards - c.o["beta"] * own, own.mean().item()
    advantages = torch.zeros_like(rewards)
    for group in by_group(c):
        others = (rewards[group].sum() - rewards[group]) / (len(group) - 1)
        advantages[group] = rewards[group] - others
    if c.get("normalize_advantages", False):
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-4)
    low = c.get("epsilon", 0.2)
    t = stand_in(epsilon_low=low, epsilon_high=c.get("epsilon_high", low))
    t._get_per_token_logps_and_entropies = lambda *_, **__: (c.logps, c.entropy, None)
    one = torch.ones(len(c.lengths), 1, dtype=torch.long)
    inputs = {
        "prompt_ids": one,
        "prompt_mask": one,
        "completion_ids": torch.zeros_like(c.mask),
        "completion_mask": c.mask,
        "old_logps": (old * c.mask).sum(1),
        "advantages": advantages,
    }
    loss = RLOOTrainer._compute_loss(t, None, inputs)
    c.advantages_list = c.list(advantages[:, None].expand(-1, c.width))
    return loss, {"kl": kl, **recorded(t, "entropy", "clip_ratio/region_mean")}


def kl_estimates(c, old):
    d = old - c.reference
    kind = c.get("kl_estimator", "k1")
    return (d if kind == "k1" else d**2 / 2 if kind == "k2" else torch.exp(-d) - 1 + d) * c.mask


def rewards_of_tokens(c, kl, coefficient):
    rewards = -coefficient * kl
    for s, n in enumerate(c.lengths):
        rewards[s, n - 1] += c.given["rewards"][s]
    return rewards


def whitened(c, x, ddof, keep_mean):
    mean = c.mean(x)
    variance = (((x - mean) ** 2) * c.mask).sum() / (c.mask.sum() - ddof)
    return ((x - mean) / (variance + 1e-8).sqrt() + (mean if keep_mean else 0)) * c.mask


def clipped_policy(c, old, advantages):
    e = c.get("cliprange", 0.2)
    ratio = (c.logps - old).exp()
    plain, near = -advantages * ratio, -advantages * ratio.clamp(1 - e, 1 + e)
    acts = ((ratio - 1).abs() > e) & (near > plain)
    return torch.maximum(plain, near), c.mean(acts.double()).item()


def ppo(c):
    old, before = c.old_logps if "old_logps" in c.given else c.logps.detach(), c.old_values
    kl = kl_estimates(c, old)
    rewards = rewards_of_tokens(c, kl, c.get("kl_coef", 0.05))
    if c.get("whiten_rewards", False):
        rewards = whitened(c, rewards, 1, True)
    gamma, lam = c.get("gamma", 1.0), c.get("lam", 0.95)
    advantages = torch.zeros_like(rewards)
    for s, n in enumerate(c.lengths):
        for t in range(n):  # the sum of the discounted errors that follow
            for k in range(t, n):
                after = before[s, k + 1] if k + 1 < n else 0.0
                error = rewards[s, k] + gamma * after - before[s, k]
                advantages[s, t] += (gamma * lam) ** (k - t) * error
    returns = advantages + before
    advantages = whitened(c, advantages, 1, False)
    policy, share = clipped_policy(c, old, advantages)
    e = c.get("cliprange_value", 0.2)
    near = torch.minimum(torch.maximum(c.values, before - e), before + e)
    value = 0.5 * torch.maximum((c.values - returns) ** 2, (near - returns) ** 2)
    entropy = c.mean(c.entropy)
    loss = c.mean(policy) + c.get("vf_coef", 0.1) * c.mean(value) - c.get("entropy_coef", 0.0) * entropy
    c.advantages_list, c.returns_list = c.list(advantages), c.list(returns)
    return loss, {
        "policy_loss": c.mean(policy).item(),
        "value_loss": c.mean(value).item(),
        "kl": kl.sum(1).mean().item(),
        "entropy": entropy.item(),
        "clip_ratio/region_mean": share,
    }


def reinforce_pp(c):
    old = c.old_logps if "old_logps" in c.given else c.logps.detach()
    kl = kl_estimates(c, old)
    rewards = rewards_of_tokens(c, kl, c.get("kl_coef", 0.01))
    advantages = torch.stack([torch.cat([r[t:].sum()[None] for t in range(c.width)]) for r in rewards]) * c.mask
    advantages = whitened(c, advantages, 0, False)
    policy, share = clipped_policy(c, old, advantages)
    c.advantages_list = c.list(advantages)
    metrics = {"kl": kl.sum(1).mean().item(), "entropy": c.mean(c.entropy).item(), "clip_ratio/region_mean": share}
    return c.mean(policy), metrics


def online_dpo(c):
    """The losses of trl.experimental.online_dpo, which stand in the middle of a training step, with pairs of more answers."""
    rewards, beta, ratio = c.flat("rewards"), c.get("beta", 0.1), ((c.logps - c.reference) * c.mask).sum(1)
    signs, pairs = torch.zeros_like(rewards), []
    for group in by_group(c):
        best, worst = group[rewards[group].argmax()], group[rewards[group].argmin()]
        if rewards[best] > rewards[worst]:
            signs[best], signs[worst] = 1.0, -1.0
            pairs.append((best, worst))
    c.advantages_list = c.list(signs[:, None].expand(-1, c.width))
    metrics = {"entropy": c.mean(c.entropy).item(), "kl": ratio.mean().item()}
    groups = len(c.lengths) / c.get("num_generations", 2)
    if not pairs:
        return c.logps.sum() * 0.0, {"entropy": metrics["entropy"]}
    best, worst = (torch.stack(side) for side in zip(*pairs))
    logits = ratio[best] - ratio[worst]
    each = (logits - 1 / (2 * beta)) ** 2 if c.get("loss", "sigmoid") == "ipo" else -F.logsigmoid(beta * logits)
    metrics["objective/scores_margin"] = (rewards[best] - rewards[worst]).mean().item()
    return each.sum() / groups, {**metrics, **pair_metrics(beta * ratio[best], beta * ratio[worst])}


# ------------------------------------------------------------------------------------------------ cases

DPO_LOSSES = (
    "sigmoid hinge ipo robust nca_pair bco_pair sppo_hard aot aot_unpaired apo_zero apo_down discopop sigmoid_norm"
)
GRPO_LOSSES = "grpo bnpo dr_grpo dapo cispo sapo luspo vespo"


def cases():
    yield "single", "sft", {}
    yield "single", "sft", {"loss": "dft"}
    for w in (0.0, 0.3):
        yield "single", "distill", {"ce_weight": w}
    for loss in DPO_LOSSES.split():
        yield "pairs", "dpo", {"loss": loss, "beta": 0.4}
    for given in ("one_pair", "far_pairs"):
        yield given, "dpo", {"beta": 0.1}
    for loss in ("robust", "exo_pair", "aot", "aot_unpaired", "sigmoid"):
        yield "pairs", "dpo", {"loss": loss, "beta": 0.3, "label_smoothing": 0.1}
    for loss in ("sigmoid", "ipo", "hinge"):
        for divergence in ("forward_kl", "js_divergence"):
            yield "pairs", "dpo", {"loss": loss, "beta": 0.3, "f_divergence_type": divergence}
    for a in (0.5, 1.5, -0.7):
        more = {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": a}
        yield "pairs", "dpo", {"beta": 0.3, **more}
    yield "pairs", "dpo", {"nll_weight": 0.7, "beta": 0.2}
    yield "pairs", "dpo", {"ld_alpha": 0.3, "beta": 0.2}
    yield "pairs", "dpo", {"ld_alpha": 0.0, "loss": "ipo", "beta": 0.2}
    yield "pairs", "dpo", {"use_weighting": True, "beta": 0.2}
    yield "pairs", "dpo", {"loss": "discopop", "discopop_tau": 0.5, "beta": 0.5}
    yield "labelled", "kto", {}
    yield "labelled", "kto", {"beta": 0.5, "desirable_weight": 1.3, "undesirable_weight": 0.4}
    yield "labelled", "kto", {"loss": "apo_zero_unpaired", "beta": 0.5}
    yield "all_good", "kto", {"beta": 0.3}
    yield "no_kl", "kto", {"beta": 0.3}
    yield "pairs_and_prompts", "orpo", {}
    yield "pairs_and_prompts", "orpo", {"beta": 0.6}
    for loss in ("sigmoid", "hinge", "ipo", "simpo"):
        yield "pairs", "cpo", {"loss": loss, "beta": 0.7}
        yield "pairs", "cpo", {"loss": loss, "beta": 2.0, "alpha": 0.3, "cpo_alpha": 0.0}
    yield "pairs", "cpo", {"loss": "simpo", "beta": 2.5, "simpo_gamma": 1.4, "cpo_alpha": 0.2, "label_smoothing": 0.1}
    yield "pairs", "cpo", {"label_smoothing": 0.2, "beta": 0.3}
    yield "scores", "reward", {}
    yield "scores", "reward", {"center_rewards_coefficient": 0.02}
    yield "margins", "reward", {"center_rewards_coefficient": 0.1}
    yield "steps", "prm", {}
    for loss in GRPO_LOSSES.split():
        high = {"epsilon_high": 1.1} if loss == "cispo" else {}
        yield "rollouts", "grpo", {"loss": loss, "max_completion_length": 7, **high}
        yield "far_rollouts", "grpo", {"loss": loss, "beta": 0.1, "scale_rewards": "none", **high}
    for loss in ("grpo", "dapo", "luspo", "sapo", "cispo"):
        yield "far_rollouts", "grpo", {"loss": loss, "importance_sampling_level": "sequence"}
    yield "rollouts", "grpo", {"loss": "grpo", "epsilon": 0.1, "epsilon_high": 0.4, "scale_rewards": "batch"}
    yield "far_rollouts", "grpo", {"loss": "bnpo", "delta": 1.5}
    yield "far_rollouts", "grpo", {"loss": "dapo", "delta": 1.5, "beta": 0.2, "use_bias_correction_kl": True}
    yield "rollouts", "grpo", {"entropy_coef": 0.05}
    yield "rollouts", "grpo", {"top_entropy_quantile": 0.4, "entropy_coef": 0.05, "beta": 0.1}
    yield "rollouts", "grpo", {"loss": "grpo", "top_entropy_quantile": 0.75}
    yield "far_rollouts", "grpo", {"off_policy_mask_threshold": 0.1}
    yield "far_rollouts", "grpo", {"loss": "sapo", "sapo_temperature_pos": 0.6, "sapo_temperature_neg": 2.0}
    yield "far_rollouts", "grpo", {
        "loss": "vespo",
        "vespo_k_pos": 1.0,
        "vespo_lambda_pos": 1.5,
        "vespo_k_neg": 2.0,
        "vespo_lambda_neg": 0.7,
    }
    yield "fresh_rollouts", "grpo", {"beta": 0.04}
    yield "equal_rewards", "grpo", {}
    yield "rollouts", "rloo", {}
    yield "far_rollouts", "rloo", {"beta": 0.2, "epsilon": 0.3, "epsilon_high": 0.9}
    yield "rollouts", "rloo", {"beta": 0.05, "normalize_advantages": True}
    for kind in ("k1", "k2", "k3"):
        yield "rollouts", "ppo", {"kl_estimator": kind}
        yield "far_rollouts", "reinforce_pp", {"kl_estimator": kind, "kl_coef": 0.3}
    more = {"gamma": 0.9, "lam": 0.8, "vf_coef": 0.6, "entropy_coef": 0.02, "cliprange": 0.1, "cliprange_value": 0.3}
    yield "far_rollouts", "ppo", {"kl_coef": 0.3, "whiten_rewards": True, **more}
    yield "fresh_rollouts", "ppo", {"gamma": 0.5, "lam": 0.0, "kl_coef": 0.0}
    yield "rollouts", "reinforce_pp", {"cliprange": 0.05, "kl_coef": 0.0}
    yield "fresh_rollouts", "online_dpo", {"beta": 0.3}
    yield "far_rollouts", "online_dpo", {"beta": 0.3, "loss": "ipo"}
    yield "rollouts", "online_dpo", {"beta": 0.3, "num_generations": 3}
    yield "equal_rewards", "online_dpo", {}


LOSSES = {f.__name__: f for f in (sft, distill, dpo, kto, cpo, orpo, reward, prm, grpo, rloo, ppo, reinforce_pp, online_dpo)}


NEEDED = {"distill": {"teacher": "T"}, "ppo": {"critic": "C"}}  # folders, which no loss reads


def computed(given, name, settings):
    case = Case(INPUTS[given], settings)
    loss, metrics = LOSSES[name](case)
    loss.backward()
    made = {"input": given, "objective": {"name": name, **NEEDED.get(name, {}), **settings}, "loss": loss.item(), "metrics": metrics}
    made["gradients"] = {k: leaf.grad.tolist() for k, leaf in case.leaves.items() if leaf.grad is not None}
    for key in ("advantages", "returns"):
        if key + "_list" in case.__dict__:
            made[key] = case.__dict__[key + "_list"]
    return made


def shorter(value):
    if isinstance(value, float):
        return float(f"{value:.13g}")
    if isinstance(value, dict):
        return {k: shorter(v) for k, v in value.items()}
    return [shorter(v) for v in value] if isinstance(value, list) else value


def main():
    for name, module in (("trl", trl), ("torch", torch)):
        if module.__version__.split("+")[0] != PINNED[name]:
            raise SystemExit(f"{name} is {module.__version__}, the goldens need {PINNED[name]}")
    torch.set_default_dtype(torch.float64)
    made = [computed(*case) for case in cases()]
    lines = ",\n".join(json.dumps(shorter(case)) for case in made)
    inputs = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in INPUTS.items())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text('{"inputs": {\n' + inputs + '},\n"cases": [\n' + lines + "]}\n")
    print(len(made), "cases,", OUT.stat().st_size, "bytes")


main()
