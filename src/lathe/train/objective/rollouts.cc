#include "lathe/train/objective/rollouts.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/chat/tools/tool.h"
#include "lathe/train/answering_program.h"

namespace lathe {

void RolloutConfig::visit(Visitor& v) {
  v.field("num_generations", num_generations, "answers drawn for each prompt: a group",
          at_least(1));
  v.field("max_completion_length", max_completion_length, "the most tokens of an answer",
          at_least(1));
  v.field("temperature", temperature,
          "of the distribution that answers are drawn from, and that log-probabilities refer to",
          above(0));
  v.field("num_generations_eval", num_generations_eval,
          "answers to each prompt of data.valid; default: 1", at_least(1));
  v.field("temperature_eval", temperature_eval,
          "their temperature; default: 0, always the most likely token", at_least(0));
  tools.visit(v);
}

void RolloutConfig::visit_groups(Visitor& v) {
  v.field(
      "dynamic_sampling", dynamic_sampling,
      "leave out groups whose answers are all worth the same, and draw answers to further prompts until the "
      "step is full (DAPO, arXiv:2503.14476)");
  v.field(
      "max_num_gen_batches", max_num_gen_batches,
      "with dynamic_sampling: how often a step draws, at most; after that it has fewer groups; default: 10",
      at_least(1));
  v.field(
      "mask_truncated_completions", mask_truncated_completions,
      "learn nothing from the tokens of answers that were cut at max_completion_length; their rewards still "
      "count in the group's mean");
}

void RolloutToolConfig::visit(Visitor& v) {
  v.choice(
      "tools", tools, names_of(lathe::tools()),
      "tools that answers may call, in the syntax of the model's chat template; a row's `tools` chooses among "
      "them");
  visit_program(v,
                {.command = "tool_command",
                 .timeout = "tool_timeout",
                 .does = "answers calls of other tools that a row's `tools` describe",
                 .question = "call (`name`, `arguments`)",
                 .answer = "a line"},
                tool_command, tool_timeout);
  v.field(
      "max_tool_calling_iterations", max_tool_calling_iterations,
      "how often an answer may go on behind calls; default: while max_completion_length has room",
      at_least(1));
}

void RolloutToolConfig::check(const KeyErrors& keys) const {
  if (tool_timeout && !tool_command)
    keys.refuse("tool_timeout",
                "only a program can take too long; set tool_command, or leave it out");
  if (max_tool_calling_iterations && !any())
    keys.refuse("max_tool_calling_iterations", "there are no tools; set tools, or leave it out");
}

void RolloutConfig::check(const KeyErrors& keys) const {
  tools.check(keys);
  if (num_generations_eval.value_or(1) > 1 && temperature_eval.value_or(0) == 0)
    keys.refuse("num_generations_eval",
                "at a temperature of 0 all answers to a prompt are the same; set temperature_eval, "
                "or leave it out");
  if (max_num_gen_batches && !dynamic_sampling)
    keys.refuse(
        "max_num_gen_batches",
        "without dynamic_sampling every step draws once; set dynamic_sampling = true, or leave it out");
}

double KlControl::next(double coefficient, double kl, double answers) const {
  constexpr double kMost = 0.2;
  return coefficient * (1 + std::clamp(kl / target - 1, -kMost, kMost) * answers / horizon);
}

void PretrainingMixConfig::visit(Visitor& v) {
  v.field("ptx_coef", ptx_coef,
          "weight of the loss on text of pretraining, which is added (InstructGPT: 27.8)",
          at_least(0));
  v.field("ptx_data", ptx_data,
          "with ptx_coef: token shards, as data.train of a pretraining has them");
  v.field("ptx_batch_size", ptx_batch_size,
          "rows of train.seq_len tokens of it in a step; default: 8", at_least(1));
}

void PretrainingMixConfig::check(const KeyErrors& keys) const {
  if (ptx_coef > 0 && ptx_data.empty())
    keys.refuse("ptx_data",
                "ptx_coef weighs the loss on text of pretraining, and there is none; give the "
                "prefix of a .bin and .idx");
  if (ptx_coef == 0 && (!ptx_data.empty() || ptx_batch_size))
    keys.refuse(ptx_data.empty() ? "ptx_batch_size" : "ptx_data",
                "nothing reads it while ptx_coef is 0; set ptx_coef, or leave it out");
}

Groups groups_of(const std::vector<RolloutBatch>& step, int64_t least) {
  Groups groups;
  std::map<int64_t, size_t> index;
  std::vector<const Example*> first;
  for (const RolloutBatch& micro : step) {
    std::vector<size_t>& of = groups.of.emplace_back();
    for (const Example* example : micro.batch->examples) {
      const auto [found, is_new] = index.emplace(example->group, groups.sizes.size());
      if (is_new) {
        groups.sizes.push_back(0);
        first.push_back(example);
      }
      ++groups.sizes[found->second];
      of.push_back(found->second);
    }
  }
  for (size_t g = 0; g < groups.sizes.size(); ++g)
    require(
        groups.sizes[g] >= least, ErrorKind::kData, first[g]->place,
        "group {} has {} rollout(s), but an advantage compares at least {} of one prompt; draw more "
        "(objective.num_generations), or give all rows of the group in one step",
        first[g]->group, groups.sizes[g], least);
  return groups;
}

std::vector<double> at_tokens(const std::vector<double>& of_sequences, const Runs& runs) {
  return spread(Values(of_sequences), runs).numbers();
}

double kl_estimate(std::string_view kind, double policy, double reference) {
  const double d = policy - reference;
  if (kind == "k1") return d;
  return kind == "k2" ? 0.5 * d * d : std::exp(-d) - 1 + d;
}

void visit_kl_estimator(Visitor& v, std::string& kind) {
  v.choice("kl_estimator", kind, {"k1", "k2", "k3"},
           "of the KL divergence from one token, with d = log policy - log reference: d, d²/2, "
           "e^-d - 1 + d");
}

std::vector<double> token_rewards(const RolloutBatch& micro, std::string_view estimator,
                                  double coefficient, double& kl) {
  std::vector<double> rewards;
  const Runs& runs = micro.batch->scored;
  for (int64_t s = 0; s < runs.count(); ++s) {
    for (int64_t t = runs.first(s); t < runs.first(s + 1); ++t) {
      const auto i = static_cast<size_t>(t);
      const double estimate = kl_estimate(estimator, micro.old_logps[i], micro.reference[i]);
      kl += estimate;
      rewards.push_back(-coefficient * estimate);
    }
    if (runs.length(s) > 0) rewards.back() += micro.batch->example_of(s).reward;
  }
  return rewards;
}

std::vector<Moments> moments_of(const std::vector<double>& x, const std::vector<size_t>& group,
                                size_t groups) {
  std::vector<Moments> all(groups);
  for (size_t i = 0; i < x.size(); ++i) {
    all[group[i]].mean += x[i];
    ++all[group[i]].count;
  }
  for (Moments& each : all) each.mean /= each.count;
  for (size_t i = 0; i < x.size(); ++i) {
    const double distance = x[i] - all[group[i]].mean;
    all[group[i]].squares += distance * distance;
  }
  return all;
}

void whiten(const std::vector<std::vector<double>*>& numbers, const Whitening& how) {
  std::vector<double> flat;
  for (const auto* each : numbers) flat.insert(flat.end(), each->begin(), each->end());
  if (flat.size() < 2) return;  // there is no variance
  const Moments all = moments_of(flat, std::vector<size_t>(flat.size(), 0), 1)[0];
  const double scale = 1 / (all.deviation(how.unbiased, how.within) + how.beside);
  for (auto* each : numbers)
    for (double& x : *each) x = (x - all.mean) * scale + (how.keep_mean ? all.mean : 0);
}

Values old_logps(const LossInput& in) {
  return in.old_logps.empty() ? in.logps.detached() : Values(in.old_logps);
}

Surrogate clipped_surrogate(const LossInput& in, double cliprange) {
  const Values ratio = exp(in.logps - old_logps(in)), advantages(in.advantages.advantages);
  const Values plain = -advantages * ratio;
  const Values clipped = -advantages * clamp(ratio, 1 - cliprange, 1 + cliprange);
  Surrogate result{.loss = maximum(plain, clipped)};
  for (size_t i = 0; i < ratio.size(); ++i)
    result.clipped += std::abs(ratio[i] - 1) > cliprange && clipped[i] > plain[i];
  return result;
}

}  // namespace lathe
