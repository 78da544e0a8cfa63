#include "lathe/cli/commands/train/train_run.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/train/train_display.h"
#include "lathe/config/read_write.h"
#include "lathe/train/train_loop.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

TrainLoop::Start start_of(const RunOptions& o) {
  require(o.resume || !o.branch, ErrorKind::kUsage, "command line",
          "--branch only applies when a run is continued; write --resume --branch");
  require(o.resume || !o.from_step, ErrorKind::kUsage, "command line",
          "--from-step only applies when a run is continued; write --resume --from-step {}",
          o.from_step.value_or(0));
  if (!o.resume) return TrainLoop::Start::kFresh;
  return o.branch ? TrainLoop::Start::kBranch : TrainLoop::Start::kResume;
}

// What the recipe says and what this machine makes of it.
Json plan_of(TrainLoop& loop) {
  const TrainConfig& t = loop.recipe().train;
  loop.check();
  const double seconds = loop.measure_step_seconds();
  Json plan = {
      {"out", t.out},
      {"out_is_used", std::filesystem::exists(std::filesystem::path(t.out) / "metrics.jsonl")},
      {"parameters", loop.model().parameter_count()},
      {"steps", t.steps},
      {"seconds_per_step", seconds},
      {"hours", seconds * static_cast<double>(t.steps) / 3600},
      {"state_mib", static_cast<double>(loop.state_bytes()) / (1 << 20)},
      {"peak_memory_mib", static_cast<double>(peak_resident_bytes()) / (1 << 20)},
      {"data", Json::array()}};
  for (const ShardPlan& shard : loop.data_plan())
    plan["data"].push_back({{"shard", shard.prefix},
                            {"epochs", shard.epochs},
                            {"documents", shard.documents},
                            {"tokens", shard.tokens}});
  return plan;
}

int check_run(TrainLoop& loop, CommandContext& context) {
  const Json plan = plan_of(loop);
  if (context.json) {
    context.print_json(plan);
    return 0;
  }
  const auto number = [&](const char* key) { return plan.at(key).get<double>(); };
  context.out << fmt::format(
      "the recipe and its data are valid; nothing was started\n"
      "parameters  {}\n"
      "steps       {} of about {:.3g} s\n"
      "time        about {}\n"
      "memory      {:.0f} MiB so far, of which weights, gradients and optimiser {:.0f}\n",
      human_count(number("parameters")), plan["steps"].get<int64_t>(), number("seconds_per_step"),
      human_time(number("hours") * 3600), number("peak_memory_mib"), number("state_mib"));
  for (const Json& shard : plan["data"])
    context.out << fmt::format("data        {:.2f} epochs of {} ({} documents, {} tokens)\n",
                               shard["epochs"].get<double>(), shard["shard"].get<std::string>(),
                               shard["documents"].get<int64_t>(),
                               human_count(shard["tokens"].get<double>()));
  context.out << "folder      " << plan["out"].get<std::string>()
              << (plan["out_is_used"].get<bool>() ? " holds a run: --resume continues it\n"
                                                  : " is free\n");
  return 0;
}

}  // namespace

void RunOptions::visit(Visitor& v) {
  v.field("resume", resume,
          "continue from the newest checkpoint in train.out; start from the beginning if there "
          "is none");
  v.field("branch", branch,
          "with --resume: accept changes that make the rest another run (learning rate, batch, "
          "data); the lineage records them");
  v.field("from_step", from_step,
          "with --resume: continue from the checkpoint of this step instead of the newest; later "
          "ones are set aside",
          at_least(1));
  v.field("show", show,
          "print the whole recipe with every default, as a recipe file (--json: as JSON), and "
          "stop");
  v.field("check", check,
          "open everything, try one step and report what the run will need (memory, time, "
          "epochs), without starting it");
}

int run_recipe(const Recipe& recipe, const RunOptions& o, CommandContext& context) {
  const TrainLoop::Start start = start_of(o);
  if (o.show) {
    if (context.json) {
      context.print_json(write_recipe(recipe));
    } else {
      context.out << config_to_toml(recipe);
    }
    return 0;
  }
  TrainDisplay display(recipe, context);
  display.plan_memory();
  TrainLoop loop(recipe, display.callbacks(), display.facts());
  if (o.check) return check_run(loop, context);
  display.announce(loop);
  loop.run(start, o.from_step);
  display.finish(loop);
  const std::vector<ShardPlan> plan = loop.data_plan();
  const std::vector<int64_t> seen = loop.documents_seen();
  for (size_t i = 0; i < seen.size(); ++i)
    context.log.info("the run saw {} of the {} documents of {}", seen[i], plan[i].documents,
                     plan[i].prefix);
  if (context.json) context.print_json(display.summary(loop));
  return 0;
}

}  // namespace lathe
