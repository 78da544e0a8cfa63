#include "lathe/lab/answer_comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/lab/rollout_log.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Answer {
  double reward, length;
};
struct Prompt {
  Json ids;
  std::vector<Answer> answers;
};
// By set and group.
using Prompts = std::map<std::pair<std::string, int64_t>, Prompt>;

double reward_of(const Json& line, const std::optional<std::string>& part,
                 const HeldOutAnswers& of) {
  if (!part) return line.at("reward").get<double>();
  const Json parts = line.value("rewards", Json::object());
  std::string known;
  for (const auto& [name, value] : parts.items()) known += (known.empty() ? "" : ", ") + name;
  require(parts.contains(*part), ErrorKind::kUsage, of.run.string(),
          "has no part of the reward named '{}'; it has {}", *part, known);
  return parts.at(*part).get<double>();
}

int64_t step_of(const HeldOutAnswers& of) {
  const std::vector<RolloutStep> steps = rollout_steps(of.run, RolloutKind::kHeldOut);
  require(!steps.empty(), ErrorKind::kIo, of.run.string(),
          "has no answers to held-out prompts yet");
  if (!of.step) return steps.back().step;
  std::string known;
  for (const RolloutStep& s : steps)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", s.step);
  require(std::ranges::find(steps, *of.step, &RolloutStep::step) != steps.end(), ErrorKind::kUsage,
          of.run.string(), "was not validated after step {}; it was after {}", *of.step, known);
  return *of.step;
}

// Answers without a reward keep their place, with none.
Prompts read(const HeldOutAnswers& of, int64_t step, const std::optional<std::string>& part) {
  Prompts prompts;
  for_each_rollout(of.run, RolloutKind::kHeldOut, [&](const Json& line) {
    if (line.at("step") != step) return;
    Prompt& prompt = prompts[{line.value("set", std::string()), line.at("group").get<int64_t>()}];
    prompt.ids = line.value("prompt_ids", Json());
    prompt.answers.push_back(
        {is_judged(line) ? reward_of(line, part, of) : std::nan(""),
         static_cast<double>(line.value("completion_ids", Json::array()).size())});
  });
  return prompts;
}

// Two answers to one prompt.
struct Pair {
  double win, longer;  // 1, 1/2 or 0; the difference of lengths
};

double mean_win(const std::vector<Pair>& pairs) {
  double sum = 0;
  for (const Pair& p : pairs) sum += p.win;
  return sum / static_cast<double>(pairs.size());
}

// σ(θ) by Newton's method; the function that it maximises is concave.
double length_controlled(const std::vector<Pair>& pairs) {
  double mean = 0, squares = 0;
  const auto count = static_cast<double>(pairs.size());
  for (const Pair& p : pairs) mean += p.longer / count;
  for (const Pair& p : pairs) squares += (p.longer - mean) * (p.longer - mean) / count;
  if (squares == 0) return mean_win(pairs);  // nothing to control for
  const double deviation = std::sqrt(squares);
  constexpr double kFar = 12;  // where all were won or lost, θ has no end
  double theta = 0, phi = 0;
  for (int i = 0; i < 100; ++i) {
    double g_theta = 0, g_phi = -phi, h_tt = 1e-9, h_tp = 0, h_pp = 1;
    for (const Pair& p : pairs) {
      const double x = std::tanh(p.longer / deviation);
      const double says = 1 / (1 + std::exp(-(theta + phi * x)));
      const double weight = says * (1 - says);
      g_theta += p.win - says, g_phi += (p.win - says) * x;
      h_tt += weight, h_tp += weight * x, h_pp += weight * x * x;
    }
    const double determinant = h_tt * h_pp - h_tp * h_tp;
    const double d_theta = (h_pp * g_theta - h_tp * g_phi) / determinant;
    const double d_phi = (h_tt * g_phi - h_tp * g_theta) / determinant;
    theta = std::clamp(theta + std::clamp(d_theta, -1.0, 1.0), -kFar, kFar);
    phi += std::clamp(d_phi, -1.0, 1.0);
    if (std::abs(d_theta) + std::abs(d_phi) < 1e-12) break;
  }
  return 1 / (1 + std::exp(-theta));
}

// Compares the answers to one prompt, and counts them into `all`.
std::vector<Pair> pairs_of(const Prompt& a, const Prompt& b, AnswerComparison& all) {
  std::vector<Pair> pairs;
  for (size_t i = 0; i < a.answers.size(); ++i) {
    const Answer &one = a.answers[i], &other = b.answers[i];
    if (std::isnan(one.reward) || std::isnan(other.reward)) continue;
    const double win = one.reward > other.reward ? 1 : one.reward < other.reward ? 0 : 0.5;
    pairs.push_back({win, one.length - other.length});
    (win == 1 ? all.wins : win == 0 ? all.losses : all.ties) += 1;
    all.first.reward += one.reward, all.second.reward += other.reward;
    all.first.length += one.length, all.second.length += other.length;
  }
  return pairs;
}

void require_same_prompts(const HeldOutAnswers& first, const Prompts& a,
                          const HeldOutAnswers& second, const Prompts& b) {
  const bool same = std::ranges::equal(a, b, [](const auto& one, const auto& other) {
    return one.first == other.first && one.second.ids == other.second.ids &&
           one.second.answers.size() == other.second.answers.size();
  });
  require(
      same, ErrorKind::kUsage, first.run.string(),
      "and {} did not answer the same prompts as often, so that their answers cannot be compared; validate "
      "both with the same data.valid, train.eval_samples, objective.num_generations_eval and chat template",
      second.run.string());
}

void divide(AnswerComparison& all, double pairs) {
  for (double* sum : {&all.wins, &all.ties, &all.losses, &all.first.reward, &all.second.reward,
                      &all.first.length, &all.second.length})
    *sum /= pairs;
}

}  // namespace

AnswerComparison compare_answers(const HeldOutAnswers& first, const HeldOutAnswers& second,
                                 const std::optional<std::string>& part) {
  AnswerComparison all;
  all.first.step = step_of(first);
  all.second.step = step_of(second);
  const Prompts a = read(first, all.first.step, part), b = read(second, all.second.step, part);
  require_same_prompts(first, a, second, b);
  std::vector<Pair> pairs;
  std::vector<double> rates;  // of prompts
  for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y) {
    const std::vector<Pair> of = pairs_of(x->second, y->second, all);
    if (of.empty()) continue;
    rates.push_back(mean_win(of));
    pairs.insert(pairs.end(), of.begin(), of.end());
  }
  require(
      !pairs.empty(), ErrorKind::kData, first.run.string(),
      "no answer has a reward in both runs; look for failed ones with `lathe rollouts --held-out`");
  divide(all, static_cast<double>(pairs.size()));
  all.prompts = std::ssize(rates);
  const auto count = static_cast<double>(rates.size());
  for (const double r : rates) all.win_rate += r / count;
  double squares = 0;
  for (const double r : rates) squares += (r - all.win_rate) * (r - all.win_rate);
  all.error = count > 1 ? std::sqrt(squares / (count - 1) / count) : 0;
  all.length_controlled = length_controlled(pairs);
  return all;
}

}  // namespace lathe
