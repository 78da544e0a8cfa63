#include "lathe/train/resume.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const Json* find_key(const Json& tree, std::string_view key) {
  const Json* node = &tree;
  while (node != nullptr) {
    const size_t dot = key.find('.');
    const auto it = node->is_object() ? node->find(std::string(key.substr(0, dot))) : node->end();
    if (it == node->end()) return nullptr;
    node = &*it;
    if (dot == std::string_view::npos) return node;
    key.remove_prefix(dot + 1);
  }
  return nullptr;
}

std::string shown(const Json* value) { return value == nullptr ? "not set" : value->dump(); }

// The learning rate over its peak, as the recipe of a checkpoint had it.
struct Rates {
  ScheduleConfig schedule;
  int64_t steps = 0;

  explicit Rates(const Recipe& r) : schedule(r.schedule), steps(r.train.steps) {}
  explicit Rates(const Json& before) {
    std::vector<std::string> unknown;  // keys of another release
    read_config(schedule, before.value("schedule", Json::object()), "schedule",
                {.unknown = &unknown});
    steps = before.at("train").at("steps").get<int64_t>();
  }
  double of(int64_t step) const { return learning_rate(schedule, 1.0, step, schedule.span(steps)); }
};

bool same_rates(const Rates& a, const Rates& b, int64_t steps_taken) {
  for (int64_t step = 1; step <= steps_taken; ++step)
    if (a.of(step) != b.of(step)) return false;
  return true;
}

std::string lines(const std::vector<std::string>& texts) { return join(texts, "\n  "); }

}  // namespace

std::string RecipeChange::text() const { return fmt::format("{}: {}, now {}", key, before, now); }

Json comparable_recipe(const Recipe& recipe) {
  Recipe whole = recipe;
  whole.from.reset();
  return write_config(whole);
}

std::vector<RecipeChange> changes_between(const Json& before, const Recipe& now,
                                          int64_t steps_taken) {
  Recipe fields = now, unset;
  fields.from.reset();
  const Json after = write_config(fields), defaults = write_config(unset);
  std::vector<RecipeChange> changes;
  for (const FieldInfo& field : describe(fields)) {
    const Json* a = find_key(before, field.key);
    if (a == nullptr) a = find_key(defaults, field.key);
    const Json* b = find_key(after, field.key);
    if (shown(a) != shown(b)) changes.push_back({field.key, shown(a), shown(b), field.on_resume});
  }
  const auto continues = [](const RecipeChange& c) { return c.kind == OnResume::kContinues; };
  if (std::ranges::any_of(changes, continues) &&
      !same_rates(Rates(before), Rates(now), steps_taken))
    for (RecipeChange& c : changes)
      if (continues(c)) c.kind = OnResume::kBranch;
  return changes;
}

std::vector<std::string> accept_changes(const std::vector<RecipeChange>& changes,
                                        const ResumePoint& from) {
  const auto of_kind = [&](OnResume kind) {
    std::vector<std::string> texts;
    for (const RecipeChange& c : changes)
      if (c.kind == kind) texts.push_back(c.text());
    return texts;
  };
  const std::vector<std::string> another = of_kind(OnResume::kAnother),
                                 branch = of_kind(OnResume::kBranch);
  require(another.empty(), ErrorKind::kConfig, "resume",
          "the weights and the state of the optimiser belong to another recipe:\n"
          "  {}\n"
          "Restore these keys, or start a new run with another train.out",
          lines(another));
  require(from.branch || branch.empty(), ErrorKind::kConfig, "resume",
          "the recipe is not the one that this run started with:\n"
          "  {}\n"
          "Restore these keys; or add --branch to continue from step {} with them, which the "
          "lineage will record; or start a new run in another train.out (model.from = \"{}\" "
          "starts from its weights)",
          lines(branch), from.step, from.checkpoint);
  return branch;
}

}  // namespace lathe
