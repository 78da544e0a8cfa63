#include "lathe/train/reward/rewards.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/config/literal.h"
#include "lathe/train/reward/unit_tests.h"

namespace lathe {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = std::min(text.find_first_not_of(kBlank), text.size());
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

// The expression of a whole text.
Regex whole(const std::string& pattern) {
  try {
    return Regex("\\A(?:" + pattern + ")\\z", "pattern");
  } catch (const Error& error) {
    fail(ErrorKind::kConfig, "reward.pattern", "'{}' is not a regular expression: {}", pattern,
         error.what());
  }
}

}  // namespace

void RewardConfig::visit(Visitor& v) {
  v.choice("functions", functions, names_of(reward_functions()),
           "what gives an answer its reward; the rewards of several are added");
  v.field(
      "model", model,
      "folders of reward models, which score prompt and answer: sequence classifiers with one label, or adapters "
      "with a score of their own above the model that the policy starts from");
  visit_program(v,
                {.command = "command",
                 .timeout = "timeout",
                 .does = "gives a reward",
                 .question = "answer (the row's fields and `completion`)",
                 .answer = "a number"},
                command, timeout);
  v.field(
      "weights", weights,
      "what the rewards are multiplied by, in the order of functions, then of models, then of the command; "
      "default: 1. With 0 a reward is only recorded");
  v.field("pattern", pattern, "format: regular expression that a whole answer must match");
  v.field("length_min", length_min, "length_band: the fewest tokens", at_least(0));
  v.field("length_max", length_max, "length_band: the most tokens", at_least(0));
  v.field("ngram_size", ngram_size, "repetition: tokens of an n-gram; default: 3", at_least(1));
  v.field("max_completion_len", max_completion_len,
          "soft_overlong: the length whose punishment is -1", at_least(0));
  v.field("soft_punish_cache", soft_punish_cache,
          "soft_overlong: how many tokens before that the punishment begins", at_least(0));
  v.field("partial_credit", partial_credit,
          "unit_tests: the share of tests that pass; otherwise 1 if all pass, else 0");
}

std::vector<std::string> RewardConfig::parts() const {
  std::vector<std::string> names = functions;
  for (size_t i = 0; i < model.size(); ++i)
    names.push_back(i == 0 ? "model" : fmt::format("model_{}", i + 1));
  if (command) names.emplace_back("command");
  return names;
}

namespace {

void refuse(bool wrong, const char* key, std::string_view why) {
  require(!wrong, ErrorKind::kConfig, std::string("reward.") + key, "{}", why);
}

void check_keys_of_functions(const RewardConfig& c) {
  const auto uses = [&](std::string_view name) {
    return std::ranges::find(c.functions, name) != c.functions.end();
  };
  refuse(!uses("length_band") && (c.length_min > 0 || c.length_max > 0), "length_max",
         "only the function length_band reads length_min and length_max");
  refuse(uses("length_band") && c.length_max < std::max<int64_t>(1, c.length_min), "length_max",
         "length_band needs length_max of at least 1 and of at least length_min");
  refuse(uses("format") == c.pattern.empty(), "pattern",
         "the function format needs a pattern, and nothing else reads one");
  refuse(
      !uses("repetition") && c.ngram_size, "ngram_size",
      "only the function repetition reads ngram_size; add it to reward.functions, or leave the key out");
  refuse(
      !uses("soft_overlong") && (c.max_completion_len > 0 || c.soft_punish_cache > 0),
      "max_completion_len",
      "only the function soft_overlong reads max_completion_len and soft_punish_cache; add it to "
      "reward.functions, or leave the keys out");
  refuse(
      !uses("unit_tests") && c.partial_credit, "partial_credit",
      "only the function unit_tests reads partial_credit; add it to reward.functions, or leave the key out");
  refuse(uses("soft_overlong") &&
             (c.max_completion_len < 1 || c.soft_punish_cache > c.max_completion_len),
         "max_completion_len",
         "soft_overlong needs max_completion_len of at least 1 and of at least soft_punish_cache");
}

}  // namespace

void RewardConfig::check() const {
  const size_t count = parts().size();
  refuse(count == 0, "functions",
         "nothing gives a reward; name functions (exact_match …), a model or a command");
  require(weights.empty() || weights.size() == count, ErrorKind::kConfig, "reward.weights",
          "{} weights for {} rewards; give one for each", weights.size(), count);
  refuse(!weights.empty() && std::ranges::all_of(weights, [](double w) { return w == 0; }),
         "weights", "every weight is 0, so that nothing is learnt; give one reward another weight");
  refuse(timeout && !command, "timeout", "only a command can take too long; leave the key out");
  const std::set<std::string> names(functions.begin(), functions.end());
  refuse(names.size() < functions.size(), "functions",
         "a function is named twice; name it once, with the sum of the weights");
  check_keys_of_functions(*this);
  if (!pattern.empty()) whole(pattern);  // or it throws
}

void Rewards::warn(std::string_view what) {
  constexpr int64_t kMost = 5;
  if (++warnings_ > kMost) return;
  log_.warn(
      "the verifier (reward.command) {}; the answer does not count and the program is started again{}",
      what, warnings_ == kMost ? "; further failures are only counted, as reward_failures" : "");
}

std::optional<double> Rewards::ask(const RewardInput& in) {
  nlohmann::ordered_json line = in.row;
  line["completion"] = in.completion;
  if (!in.tool_calls.empty()) line["tool_calls"] = json_of(in.tool_calls);
  std::string failure;
  if (const std::optional<std::string> text = program_.ask(line, failure)) {
    double reward = 0;
    if (parse_number(trimmed(*text), reward) && std::isfinite(reward)) return reward;
    failure = fmt::format("said '{}' instead of a finite number", text->substr(0, 60));
    program_.restart();
  }
  warn(failure);
  return std::nullopt;
}

Rewards::Rewards(RewardConfig config, Log log, const RewardModelSetting& setting,
                 const SandboxConfig& sandbox)
    : config_(std::move(config)),
      log_(std::move(log)),
      program_(config_.command, config_.timeout),
      python_(sandbox, "reward.functions") {
  if (!config_.pattern.empty()) pattern_.emplace(whole(config_.pattern));
  for (const std::string& folder : config_.model)
    models_.push_back(std::make_unique<RewardModel>(folder, setting, log_));
}

void Rewards::check() {
  for (const std::string& name : config_.functions)
    if (find_in(reward_functions(), "reward.functions", name).runs_programs()) python_.prepare();
}

Rewards::Column Rewards::of_function(const RewardFunction& function,
                                     std::span<const RewardInput> inputs,
                                     const std::function<void()>& before_each,
                                     std::vector<RewardResult>& results) {
  Column column;
  if (!function.runs_programs()) {
    for (const RewardInput& in : inputs)
      column.emplace_back(function.of(in, config_, pattern_ ? &*pattern_ : nullptr));
    return column;
  }
  for (const UnitTestResult& result : unit_tests(inputs, config_, python_, before_each)) {
    results[column.size()].tests = result.end;
    column.push_back(result.value);
  }
  return column;
}

// In the order of RewardConfig::parts().
std::vector<Rewards::Column> Rewards::columns(std::span<const RewardInput> inputs,
                                              const std::function<void()>& before_each,
                                              std::vector<RewardResult>& results) {
  std::vector<Column> all;
  for (const std::string& name : config_.functions)
    all.push_back(of_function(find_in(reward_functions(), "reward.functions", name), inputs,
                              before_each, results));
  for (const auto& model : models_) {
    const std::vector<double> scores = model->scores(inputs, before_each);
    all.emplace_back(scores.begin(), scores.end());
  }
  if (!config_.command) return all;
  Column& said = all.emplace_back();
  for (const RewardInput& in : inputs) {
    if (before_each) before_each();
    said.push_back(ask(in));
  }
  return all;
}

std::vector<RewardResult> Rewards::of(std::span<const RewardInput> inputs,
                                      const std::function<void()>& before_each) {
  std::vector<RewardResult> results(inputs.size());
  const std::vector<std::string> names = config_.parts();
  const std::vector<Column> all = columns(inputs, before_each, results);
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t part = 0; part < all.size(); ++part) {
      const std::optional<double>& value = all[part][i];
      results[i].failed = results[i].failed || !value;
      if (!value) continue;
      results[i].reward += *value * config_.weight(part);
      results[i].parts.push_back({names[part], *value, config_.weight(part)});
    }
  return results;
}

}  // namespace lathe
