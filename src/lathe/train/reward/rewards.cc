#include "lathe/train/reward/rewards.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/config/literal.h"

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

std::string what_failed(ChildProcess::Answer answer, double timeout) {
  switch (answer) {
    case ChildProcess::Answer::kTimeout:
      return fmt::format("gave no answer within {} s", timeout);
    case ChildProcess::Answer::kTooLong:
      return fmt::format("printed a line of more than {} bytes", ChildProcess::kLongest);
    case ChildProcess::Answer::kUnasked:
      return "printed more than one line for an answer";
    case ChildProcess::Answer::kEnded:
    case ChildProcess::Answer::kLine:
      break;
  }
  return "ended";
}

}  // namespace

void RewardConfig::visit(Visitor& v) {
  v.choice("functions", functions, names_of(reward_functions()),
           "what gives an answer its reward; the rewards of several are added");
  v.field(
      "command", command,
      "program that gives a reward: started once, it gets a JSON line for each answer (the row's fields and "
      "`completion`) and prints a number");
  v.field("timeout", timeout, "seconds that it may take for an answer", between(0.001, 86400));
  v.field(
      "weights", weights,
      "what the rewards are multiplied by, in the order of functions, then of the command; default: 1");
  v.field("pattern", pattern, "format: regular expression that a whole answer must match");
  v.field("length_min", length_min, "length_band: the fewest tokens", at_least(0));
  v.field("length_max", length_max, "length_band: the most tokens", at_least(0));
}

void RewardConfig::check() const {
  const auto refuse = [](bool wrong, const char* key, std::string_view why) {
    require(!wrong, ErrorKind::kConfig, std::string("reward.") + key, "{}", why);
  };
  refuse(functions.empty() && !command, "functions",
         "nothing gives a reward; name functions (exact_match …) or a command");
  require(weights.empty() || weights.size() == functions.size() + (command ? 1 : 0),
          ErrorKind::kConfig, "reward.weights", "{} weights for {} rewards; give one for each",
          weights.size(), functions.size() + (command ? 1 : 0));
  const auto uses = [&](std::string_view name) {
    return std::ranges::find(functions, name) != functions.end();
  };
  refuse(!uses("length_band") && (length_min > 0 || length_max > 0), "length_max",
         "only the function length_band reads length_min and length_max");
  refuse(uses("length_band") && length_max < std::max<int64_t>(1, length_min), "length_max",
         "length_band needs length_max of at least 1 and of at least length_min");
  refuse(uses("format") == pattern.empty(), "pattern",
         "the function format needs a pattern, and nothing else reads one");
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
  if (program_ == nullptr) program_ = std::make_unique<ChildProcess>(*config_.command);
  std::string text;
  const ChildProcess::Answer answer =
      program_->ask(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                    std::chrono::milliseconds(static_cast<int64_t>(config_.timeout * 1e3)), text);
  if (answer == ChildProcess::Answer::kLine) {
    double reward = 0;
    if (parse_number(trimmed(text), reward) && std::isfinite(reward)) return reward;
    warn(fmt::format("said '{}' instead of a finite number", text.substr(0, 60)));
  } else {
    warn(what_failed(answer, config_.timeout));
  }
  program_.reset();
  return std::nullopt;
}

Rewards::Rewards(RewardConfig config, Log log) : config_(std::move(config)), log_(std::move(log)) {
  if (!config_.pattern.empty()) pattern_.emplace(whole(config_.pattern));
}

RewardResult Rewards::of(RewardInput in) {
  in.pattern = pattern_ ? &*pattern_ : nullptr;
  RewardResult result;
  const auto add = [&](std::string name, double value) {
    const size_t i = result.parts.size();
    result.reward += value * (config_.weights.empty() ? 1.0 : config_.weights[i]);
    result.parts.push_back({std::move(name), value});
  };
  for (const std::string& name : config_.functions)
    add(name, find_in(reward_functions(), "reward.functions", name).of(in, config_));
  if (!config_.command) return result;
  const std::optional<double> said = ask(in);
  result.failed = !said;
  if (said) add("command", *said);
  return result;
}

}  // namespace lathe
