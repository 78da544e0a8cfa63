#include "lathe/lab/rollout_log.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "lathe/base/error.h"
#include "lathe/corpus/line_reader.h"
#include "lathe/train/task/held_out_prompts.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path file_of(const fs::path& run, RolloutKind kind) {
  std::error_code error;
  const bool held_out = kind == RolloutKind::kHeldOut;
  const fs::path file = run / (held_out ? kHeldOutRolloutsFile : "rollouts.jsonl");
  require(fs::exists(file, error), ErrorKind::kIo, run.string(),
          "holds no {}; give the folder of a run that draws answers (objective grpo, rloo, ppo, "
          "reinforce_pp or online_dpo){}",
          file.filename().string(),
          held_out ? " and has data.valid, the prompts that it does not learn from" : "");
  return file;
}

double reward_of(const Json& line) { return line.at("reward").get<double>(); }

}  // namespace

bool is_judged(const Json& line) { return !line.value("failed", false); }

void for_each_rollout(const fs::path& run, RolloutKind kind,
                      const std::function<void(Json& line)>& f) {
  const fs::path file = file_of(run, kind);
  constexpr size_t kLongestLine = size_t{64} << 20;
  LineReader lines(file, kLongestLine);
  std::string_view text;
  std::string broken;
  while (lines.next(text)) {
    require(broken.empty(), ErrorKind::kFormat, file.string(), "{} is no rollout", broken);
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    const bool sound = line.is_object() && line.value("step", Json()).is_number_integer() &&
                       line.value("group", Json()).is_number_integer() &&
                       line.value("reward", Json()).is_number();
    if (sound)
      f(line);
    else
      broken = fmt::format("line {}", lines.line_number());
  }
}

namespace {

// A step while its lines are read: sums in place of means.
class Summary {
 public:
  explicit Summary(int64_t step) { result_.step = step; }

  void add(const Json& line) {
    ++result_.rollouts;
    groups_.insert(line.at("group").get<int64_t>());
    result_.filtered += line.value("filtered", false) ? 1 : 0;
    result_.length += static_cast<double>(line.value("completion_ids", Json::array()).size());
    if (!is_judged(line)) {
      ++result_.failed;
      return;
    }
    rewards_.push_back(reward_of(line));
    const Json parts = line.value("rewards", Json::object());
    for (const auto& [name, value] : parts.items())
      result_.parts[name] += value.is_number() ? value.get<double>() : 0;
  }

  RolloutStep take() {
    const auto judged = static_cast<double>(rewards_.size());
    result_.groups = std::ssize(groups_);
    result_.length /= static_cast<double>(result_.rollouts);
    if (rewards_.empty()) return result_;
    for (const double r : rewards_) result_.reward += r / judged;
    for (const double r : rewards_)
      result_.reward_std += (r - result_.reward) * (r - result_.reward) / judged;
    result_.reward_std = std::sqrt(result_.reward_std);
    result_.best = std::ranges::max(rewards_);
    for (auto& [name, sum] : result_.parts) sum /= judged;
    return result_;
  }
  int64_t step() const { return result_.step; }

 private:
  RolloutStep result_;
  std::set<int64_t> groups_;
  std::vector<double> rewards_;
};

// Keeps the `count` that come first by `before`.
void keep_first(std::vector<Json>& lines, int64_t count,
                const std::function<bool(const Json&, const Json&)>& before) {
  std::ranges::stable_sort(lines, before);
  if (std::ssize(lines) > count) lines.erase(lines.begin() + count, lines.end());
}

}  // namespace

std::vector<RolloutStep> rollout_steps(const fs::path& run, RolloutKind kind) {
  std::vector<RolloutStep> steps;
  std::optional<Summary> now;
  for_each_rollout(run, kind, [&](const Json& line) {
    const auto step = line.at("step").get<int64_t>();
    if (now && now->step() != step) steps.push_back(now->take()), now.reset();
    if (!now) now.emplace(step);
    now->add(line);
  });
  if (now) steps.push_back(now->take());
  return steps;
}

std::vector<Json> find_rollouts(const fs::path& run, const RolloutQuery& query) {
  const std::optional<int64_t> count = query.best ? query.best : query.worst;
  const auto before = [&](const Json& a, const Json& b) {
    return query.best ? reward_of(a) > reward_of(b) : reward_of(a) < reward_of(b);
  };
  std::vector<Json> found;
  std::optional<int64_t> first, last;
  for_each_rollout(run, query.kind, [&](Json& line) {
    last = line.at("step").get<int64_t>();
    first = first.value_or(*last);
    if (query.step && *last != *query.step) return;
    if (query.group && line.at("group") != *query.group) return;
    if (count && !is_judged(line)) return;
    found.push_back(std::move(line));
    // Enough are kept that a file of any size fits.
    if (count && std::ssize(found) > 2 * *count + 1000) keep_first(found, *count, before);
  });
  if (count) keep_first(found, *count, before);
  require(!found.empty(), ErrorKind::kUsage, run.string(),
          "has no such rollout{}; lathe rollouts {} lists the steps",
          last ? fmt::format(" (its steps are {} to {})", *first, *last) : " yet", run.string());
  return found;
}

}  // namespace lathe
