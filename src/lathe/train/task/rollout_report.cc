#include "lathe/train/task/rollout_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Moments {
  double mean = 0, deviation = 0;  // over n
};
// Over those that were judged.
Moments moments_of(const std::vector<Rollout>& rollouts,
                   const std::function<double(const Rollout&)>& f) {
  double sum = 0, squares = 0, count = 0;
  for (const Rollout& each : rollouts)
    if (!each.reward.failed) sum += f(each), ++count;
  const double mean = sum / count;
  for (const Rollout& each : rollouts)
    if (!each.reward.failed) squares += (f(each) - mean) * (f(each) - mean);
  return {mean, std::sqrt(squares / count)};
}

// Calls of an answer, and the share of calls that failed, under TRL's names.
void add_tool_numbers(const std::vector<Rollout>& rollouts, NamedNumbers& all) {
  if (rollouts[0].tool_mask.empty()) return;
  double calls = 0, failures = 0;
  for (const Rollout& each : rollouts)
    for (const ToolUse& use : each.tool_calls) ++calls, failures += use.failed ? 1 : 0;
  all.emplace_back("tools/call_frequency", calls / static_cast<double>(rollouts.size()));
  all.emplace_back("tools/failure_frequency", calls > 0 ? failures / calls : 0);
}

// How programs of answers ended that did not come to the end of their tests.
void add_test_numbers(const std::vector<Rollout>& rollouts, NamedNumbers& all) {
  using End = PythonVerdict::End;
  const auto count = [&](const char* name, std::initializer_list<End> ends) {
    const auto is = [&](const Rollout& r) {
      return r.reward.tests && std::ranges::find(ends, *r.reward.tests) != ends.end();
    };
    all.emplace_back(name, static_cast<double>(std::ranges::count_if(rollouts, is)));
  };
  count("unit_tests/errors", {End::kFailed, End::kTooMuchOutput});
  count("unit_tests/timeouts", {End::kTimeout});
  count("unit_tests/refused", {End::kRefused});
}

}  // namespace

NamedNumbers answer_numbers(const std::vector<Rollout>& rollouts,
                            const std::vector<std::string>& parts) {
  NamedNumbers all;
  const auto mean = [&](std::string name, const std::function<double(const Rollout&)>& f) {
    all.emplace_back(std::move(name), moments_of(rollouts, f).mean);
  };
  const Moments reward = moments_of(rollouts, [](const Rollout& r) { return r.example.reward; });
  all.emplace_back("reward", reward.mean);
  all.emplace_back("reward_std", reward.deviation);
  const bool tests = std::ranges::find(parts, "unit_tests") != parts.end();
  if (tests || (!parts.empty() && parts.back() == "command"))
    all.emplace_back("reward_failures", std::ranges::count_if(rollouts, [](const Rollout& r) {
                       return r.reward.failed;
                     }));
  for (size_t i = 0; i < parts.size(); ++i) {
    const Moments part =
        moments_of(rollouts, [&](const Rollout& r) { return r.reward.parts[i].value; });
    all.emplace_back("rewards/" + parts[i] + "/mean", part.mean);
    all.emplace_back("rewards/" + parts[i] + "/std", part.deviation);
  }
  mean("completions/mean_length",
       [](const Rollout& r) { return static_cast<double>(r.example.answers[0].ids.size()); });
  mean("completions/clipped_ratio", [](const Rollout& r) { return r.ended ? 0.0 : 1.0; });
  add_tool_numbers(rollouts, all);
  if (tests) add_test_numbers(rollouts, all);
  return all;
}

NamedNumbers rollout_numbers(const std::vector<Rollout>& rollouts,
                             const std::vector<std::string>& parts) {
  NamedNumbers all = answer_numbers(rollouts, parts);
  std::map<int64_t, bool> collapsed;
  for (const Rollout& each : rollouts) collapsed[each.example.group] |= each.collapsed;
  all.emplace_back("frac_reward_zero_std",
                   static_cast<double>(std::ranges::count_if(
                       collapsed, [](const auto& group) { return group.second; })) /
                       static_cast<double>(collapsed.size()));
  all.emplace_back("sampling/groups", static_cast<double>(collapsed.size()));
  all.emplace_back("sampling/retokenized_ratio", moments_of(rollouts, [](const Rollout& r) {
                                                   return r.retokenized ? 1.0 : 0.0;
                                                 }).mean);
  all.emplace_back("sampling/logp_difference_max",
                   std::ranges::max(rollouts, {}, &Rollout::logps_off).logps_off);
  return all;
}

Json rollout_line(const Rollout& rollout, int64_t step) {
  Json parts = Json::object(), weights = Json::array();
  for (const RewardPart& part : rollout.reward.parts) {
    parts[part.name] = part.value;
    weights.push_back(part.weight);
  }
  Json line = {{"step", step},
               {"group", rollout.example.group},
               {"prompt_ids", rollout.example.prompt},
               {"completion_ids", rollout.example.answers[0].ids},
               {"completion", rollout.completion},
               {"reward", rollout.example.reward},
               {"rewards", parts},
               {"reward_weights", weights},
               {"old_logps", rollout.example.old_logps},
               {"advantage", rollout.advantage},
               {"ended", rollout.ended}};
  if (!rollout.tool_mask.empty()) {
    line["tool_mask"] = rollout.tool_mask;
    line["transcript"] = rollout.transcript;
    line["tool_calls"] = json_of(rollout.tool_calls);
  }
  if (rollout.reward.failed) line["failed"] = true;
  if (rollout.collapsed && !rollout.counts) line["filtered"] = true;
  return line;
}

}  // namespace lathe
