// What a run keeps in a checkpoint, and what it goes on from.

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/train/resume.h"
#include "lathe/train/train_loop.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kTask = "task/";  // before the names of the task's tensors
constexpr int kFormat = 3;  // of state.json; 1 had the program's own names of tensors, 2 no tokens
// The weights of data.train, which matter apart from its content.
std::vector<std::string> weights_of(const std::vector<std::string>& train) {
  std::vector<std::string> weights;
  for (const ShardChoice& choice : parse_shard_choices(train))
    weights.push_back(choice.weight ? fmt::format("{}", *choice.weight) : "");
  return weights;
}

}  // namespace

void TrainLoop::check() {
  TaskInputs made_from = task_->check();
  Manifest inputs;
  inputs.inputs = std::move(made_from.artefacts);
  if (recipe_.from) add_input(inputs, *recipe_.from, "model");
  if (recipe_.data.tokenizer) add_input(inputs, *recipe_.data.tokenizer, "tokenizer");
  lineage_.inputs = std::move(inputs.inputs);
  lineage_.data_hash = std::move(made_from.data_hash);
  lineage_.files = task_->files(recipe_);
}

void TrainLoop::Progress::write(Json& state) const {
  state["updates"] = updates;
  state["tokens"] = tokens;
  state["flops"] = flops;
  state["skipped_in_a_row"] = skipped_in_a_row;
  state["loss_statistics"] = {
      {"mean", losses.mean}, {"variance", losses.variance}, {"count", losses.count}};
}

void TrainLoop::Progress::read(const Json& state) {
  taken = state.at("step").get<int64_t>();
  updates = state.at("updates").get<int64_t>();
  tokens = state.at("tokens").get<int64_t>();
  flops = state.at("flops").get<double>();
  skipped_in_a_row = state.at("skipped_in_a_row").get<int64_t>();
  const Json& statistics = state.at("loss_statistics");
  losses = {statistics.at("mean").get<double>(), statistics.at("variance").get<double>(),
            statistics.at("count").get<int64_t>()};
}

// Of the model and the optimiser, and then of the task.
CheckpointContent TrainLoop::checkpoint_content(bool with_averages) {
  CheckpointContent content = state_.content(with_averages);
  task_->for_each_state([&](CheckpointTensor tensor) {
    tensor.name = std::string(kTask) + tensor.name;
    content.optimizer.push_back(std::move(tensor));
  });
  return content;
}

void TrainLoop::save_checkpoint(int64_t step) {
  // The order of the keys is that of the file.
  Json state = {{"format", kFormat},
                {"updates", nullptr},
                {"tokens", nullptr},
                {"flops", nullptr},
                {"averages", state_.has_averages()},
                {"data", lineage_.data_hash},
                {"weights", weights_of(recipe_.data.train)},
                {"threads", lineage_.threads},
                {"skipped_in_a_row", nullptr},
                {"loss_statistics", nullptr},
                {"branches", lineage_.branches},
                {"recipe", comparable_recipe(recipe_)}};
  progress_.write(state);
  if (Json own = task_->state(); !own.is_null()) state["task"] = std::move(own);
  checkpoints_.save(step, checkpoint_content(state_.has_averages()), std::move(state));
}

// Refuses a checkpoint that this run cannot go on from; what makes the rest a branch is recorded.
void TrainLoop::accept_state(const Json& state, Start start) {
  const auto step = state.at("step").get<int64_t>();
  const bool branch = start == Start::kBranch;
  require(state.value("format", 0) == kFormat, ErrorKind::kFormat,
          checkpoints_.path_of(step).string(),
          "was written in format {}, but this release reads format {}; continue with the release "
          "that wrote it, or start a new run",
          state.value("format", 0), kFormat);
  if (hours_) {
    recipe_.train.steps = state.at("recipe").at("train").at("steps").get<int64_t>();
    hours_.reset();
  }
  require(step <= recipe_.train.steps, ErrorKind::kConfig, "train.steps",
          "the run has already taken {} steps, more than {}; give at least as many", step,
          recipe_.train.steps);
  std::vector<std::string> notes = accept_changes(
      changes_between(state.at("recipe"), recipe_, step),
      {.step = step, .checkpoint = checkpoints_.path_of(step).string(), .branch = branch});
  for (std::string& note : accept_data(state, branch)) notes.push_back(std::move(note));
  require(notes.empty() || step < recipe_.train.steps, ErrorKind::kConfig, "resume",
          "all {} steps have been taken, so no step is left that could use the changes\n"
          "  {}\n"
          "Continue from an earlier checkpoint with --from-step, or raise train.steps",
          step, join(notes, "\n  "));
  lineage_.branches = state.at("branches").get<std::vector<std::string>>();
  for (const std::string& note : notes) {
    lineage_.branches.push_back(fmt::format("after step {}: {}", step, note));
    callbacks_.log.info("branch after step {}: {}", step, note);
  }
  warn_of_other_threads(state);
}

// What of the data changed, which only a branch may.
std::vector<std::string> TrainLoop::accept_data(const Json& state, bool branch) const {
  const bool same_data = state.at("data") == lineage_.data_hash;
  const Json weights = weights_of(recipe_.data.train);
  const bool same_weights = state.at("weights") == weights;
  require((same_data && same_weights) || branch, ErrorKind::kData, "data.train",
          "its {} not what the run started with, so the run cannot be continued exactly; give the "
          "original shards as data.train, or add --branch to continue with {}",
          same_data ? "weights are" : "content is", join(recipe_.data.train, ", "));
  std::vector<std::string> notes;
  if (!same_data) notes.push_back("data.train: its content changed");
  if (!same_weights) notes.push_back("data.train: its weights changed");
  return notes;
}

void TrainLoop::warn_of_other_threads(const Json& state) const {
  const auto threads = state.at("threads").get<int64_t>();
  if (threads != lineage_.threads)
    callbacks_.log.warn(
        "the run used {} threads so far and uses {} now: sums are computed in another order, so "
        "its numbers differ in the last bits from those of an uninterrupted run; --threads {} "
        "avoids this",
        threads, lineage_.threads, threads);
}

int64_t TrainLoop::load_checkpoint(Start start, std::optional<int64_t> from_step) {
  const std::vector<int64_t> steps = checkpoints_.steps();
  if (from_step)
    require(std::ranges::find(steps, *from_step) != steps.end(), ErrorKind::kConfig, "from-step",
            "there is no checkpoint of step {} in {}; checkpoints exist for step {}", *from_step,
            recipe_.train.out, steps.empty() ? "none" : fmt::format("{}", fmt::join(steps, ", ")));
  const Json state = checkpoints_.load_newest(
      callbacks_.log,
      [&](const Json& s) {
        accept_state(s, start);
        task_->restore(s.value("task", Json()));
        return checkpoint_content(s.at("averages").get<bool>());
      },
      from_step.value_or(std::numeric_limits<int64_t>::max()));
  for (const int64_t step : steps)
    if (from_step && step > *from_step)
      callbacks_.log.info("step {} is set aside as {}", step,
                          checkpoints_.set_aside(step)->string());
  if (state.is_null()) {
    callbacks_.log.info("no checkpoint in {} yet: starting from the beginning", recipe_.train.out);
    return 0;
  }
  progress_.read(state);
  state_.after_load(state.at("averages").get<bool>());
  callbacks_.log.info("resumed from step {}", progress_.taken);
  return progress_.taken;
}

}  // namespace lathe
