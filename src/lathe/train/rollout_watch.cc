#include "lathe/train/rollout_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {
namespace {

constexpr const char* kNames[] = {"reward",
                                  "completions/mean_length",
                                  "completions/clipped_ratio",
                                  "frac_reward_zero_std",
                                  "kl_per_token",
                                  "entropy",
                                  "sampling/retokenized_ratio",
                                  "sampling/logp_difference_max"};

double mean(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

}  // namespace

struct RolloutWatch::Rule {
  const char *name, *advice;
  // What is wrong; nullopt for nothing.
  std::optional<std::string> (*find)(const RolloutWatch& watch);
};

const std::vector<RolloutWatch::Rule>& RolloutWatch::rules() {
  static const std::vector<Rule> kRules = {
      {"length_hacking",
       "read the longest answers (lathe rollouts RUN --best 5); punish length (soft_overlong, length_band), or "
       "reward something that length does not buy",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto before = w.first("completions/mean_length"),
                    now = w.last("completions/mean_length");
         const auto reward_before = w.first("reward"), reward_now = w.last("reward");
         if (!before || !now || !reward_before || !reward_now) return std::nullopt;
         const double r = w.correlation();
         if (*now < 1.5 * *before || *reward_now <= *reward_before || r < 0.5) return std::nullopt;
         return fmt::format(
             "answers grew from {:.1f} to {:.1f} tokens while the reward rose from {:.3f} to {:.3f} (correlation "
             "over the steps {:.2f})",
             *before, *now, *reward_before, *reward_now, r);
       }},
      {"clipped_answers",
       "raise objective.max_completion_length, reward an end (ended, soft_overlong), or set "
       "objective.mask_truncated_completions",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto share = w.last("completions/clipped_ratio");
         if (!share || *share < 0.5) return std::nullopt;
         return fmt::format("{:.0f} % of the answers are cut at max_completion_length",
                            100 * *share);
       }},
      {"collapsed_groups",
       "use prompts that the model sometimes gets right, a reward with more than two values, more answers "
       "(objective.num_generations), or objective.dynamic_sampling",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto share = w.last("frac_reward_zero_std");
         if (!share || *share < 0.8) return std::nullopt;
         return fmt::format(
             "in {:.0f} % of the groups all answers are worth the same, so that nothing is learnt "
             "from them",
             100 * *share);
       }},
      {"kl_drift",
       "raise objective.beta or objective.kl_coef, or lower optim.lr; look whether the text is still that of a "
       "language",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto kl = w.last("kl_per_token");
         if (!kl || *kl < 0.5) return std::nullopt;
         return fmt::format("the policy is {:.2f} nats a token away from its reference", *kl);
       }},
      {"entropy_collapse",
       "set objective.entropy_coef or objective.epsilon_high (0.28), raise objective.temperature, or stop here: "
       "answers no longer differ",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto before = w.first("entropy"), now = w.last("entropy");
         if (!before || !now || *now >= 0.1 * *before) return std::nullopt;
         return fmt::format("the entropy fell from {:.3g} to {:.3g} nats a token", *before, *now);
       }},
      {"retokenisation",
       "judge and train on ids (completion_ids), not on text that is encoded again; the model writes tokens that "
       "its tokenizer would not choose",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto share = w.last("sampling/retokenized_ratio");
         if (!share || *share < 0.01) return std::nullopt;
         return fmt::format(
             "{:.1f} % of the answers become other ids when they are decoded and encoded again",
             100 * *share);
       }},
      {"old_new_difference",
       "train with train.precision = \"fp32\" to see whether rounding is the reason, or set "
       "objective.off_policy_mask_threshold",
       [](const RolloutWatch& w) -> std::optional<std::string> {
         const auto off = w.last("sampling/logp_difference_max");
         if (!off || *off < w.most_off_) return std::nullopt;
         return fmt::format(
             "log-probabilities of drawing and of training differ by up to {:.2g} (expected: below "
             "{:.2g})",
             *off, w.most_off_);
       }}};
  return kRules;
}

RolloutWatch::RolloutWatch(std::string_view precision)
    : most_off_(precision == "fp32" ? 1e-3 : 0.5) {}

void RolloutWatch::add(const std::function<std::optional<double>(const std::string&)>& number) {
  const auto reward = number("reward"), length = number("completions/mean_length");
  if (!reward) return;
  ++steps_;
  for (const char* name : kNames) {
    const auto value = number(name);
    if (!value || !std::isfinite(*value)) continue;
    Series& series = series_[name];
    if (std::ssize(series.first) < kWindow) series.first.push_back(*value);
    if (std::ssize(series.last) == kWindow) series.last.erase(series.last.begin());
    series.last.push_back(*value);
  }
  if (!length) return;
  x_ += *reward, y_ += *length;
  xx_ += *reward * *reward, yy_ += *length * *length, xy_ += *reward * *length;
}

std::optional<double> RolloutWatch::first(const std::string& name) const {
  const auto found = series_.find(name);
  if (found == series_.end() || steps_ < 2 * kWindow) return std::nullopt;
  return mean(found->second.first);
}

std::optional<double> RolloutWatch::last(const std::string& name) const {
  const auto found = series_.find(name);
  if (found == series_.end() || steps_ < kWindow) return std::nullopt;
  return mean(found->second.last);
}

// Pearson's.
double RolloutWatch::correlation() const {
  const auto n = static_cast<double>(steps_);
  const double x = xx_ - x_ * x_ / n, y = yy_ - y_ * y_ / n, xy = xy_ - x_ * y_ / n;
  return x <= 0 || y <= 0 ? 0 : xy / std::sqrt(x * y);
}

std::vector<RolloutFlag> RolloutWatch::flags() const {
  std::vector<RolloutFlag> raised;
  for (const Rule& rule : rules())
    if (const auto finding = rule.find(*this)) raised.push_back({rule.name, *finding, rule.advice});
  return raised;
}

}  // namespace lathe
