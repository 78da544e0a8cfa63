// What a run keeps: its checkpoints, what it goes on from, and the finished model.

#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/hash.h"
#include "lathe/io/json_file.h"
#include "lathe/io/output_folder.h"
#include "lathe/model/weight_map.h"
#include "lathe/train/resume.h"
#include "lathe/train/trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 3;  // of state.json; 1 had the program's own names of tensors, 2 no tokens
// Before the names of master weights in the optimiser's file, where the model's file holds averages.
constexpr std::string_view kMaster = "master/";

// A tensor of the model's file, from and to what `of` gives of a parameter.
CheckpointTensor on_disk(const DiskTensor& t, const DiskTensor::Of& of) {
  const DType dtype = t.pieces[0].parameter->value.dtype();
  return {t.name, t.shape, dtype, [t, of] { return t.gather(of); },
          [t, of](const Tensor& stored) { t.scatter(stored, of); }};
}

// Of the content of several shards, in their order.
std::string hash_of_data(const std::vector<ArtefactRef>& shards) {
  if (shards.size() == 1) return shards[0].hash;
  std::string all;
  for (const ArtefactRef& shard : shards) all += shard.hash + "\n";
  return hash_text(all);
}

// The weights of data.train, which matter apart from its content.
std::vector<std::string> weights_of(const std::vector<std::string>& train) {
  std::vector<std::string> weights;
  for (const ShardChoice& choice : parse_shard_choices(train))
    weights.push_back(choice.weight ? fmt::format("{}", *choice.weight) : "");
  return weights;
}

}  // namespace

// Before the first step: ids that the model has no row for, and what everything is made from.
void Trainer::check_data() {
  constexpr int64_t kMany = 1'000'000'000;  // tokens, which take seconds
  Manifest inputs;
  for (const auto& shard : data_.shards) {
    if (shard->num_tokens() > kMany)
      hooks_.log.info("reading through {}: its ids and its hash", shard->prefix().string());
    shard->check_ids(recipe_.model.vocab_size);
    add_input(inputs, shard->prefix(), "shard");
  }
  data_hash_ = hash_of_data(inputs.inputs);
  for (const ValidationSet& set : validation_) {
    set.shard().check_ids(recipe_.model.vocab_size);
    add_input(inputs, set.prefix(), "shard");
  }
  if (recipe_.from) add_input(inputs, *recipe_.from, "model");
  if (recipe_.data.tokenizer) add_input(inputs, *recipe_.data.tokenizer, "tokenizer");
  inputs_ = std::move(inputs.inputs);
  model_files_ = model_files(*model_, {.dtype = DType::kF32, .like = recipe_.from.value_or("")});
  if (recipe_.data.tokenizer)
    for (const auto& [name, text] : tokenizer_files(*recipe_.data.tokenizer))
      model_files_[name] = text;
}

// Loading averages into a run that keeps none, they give way to the master weights that follow them.
CheckpointContent Trainer::checkpoint_content(bool with_averages) {
  CheckpointContent content;
  const auto used = [this, with_averages](Parameter& p) -> const Tensor& {
    return with_averages && ema_ && p.trainable ? ema_->average(p) : p.value;
  };
  for (const DiskTensor& t : map_weights(*model_)) content.model.push_back(on_disk(t, used));
  optimizer_->for_each_state(
      [&](const std::string& name, Tensor& t) { content.optimizer.push_back(as_it_is(name, t)); });
  if (with_averages)
    for (Parameter* p : trained_)
      content.optimizer.push_back(as_it_is(std::string(kMaster) + p->name, p->value));
  return content;
}

void Trainer::save_checkpoint(int64_t step) {
  Json state = {{"format", kFormat},
                {"updates", updates_},
                {"tokens", tokens_},
                {"flops", flops_},
                {"averages", ema_ != nullptr},
                {"data", data_hash_},
                {"weights", weights_of(recipe_.data.train)},
                {"threads", threads_},
                {"skipped_in_a_row", skipped_in_a_row_},
                {"loss_statistics",
                 {{"mean", loss_statistics_.mean},
                  {"variance", loss_statistics_.variance},
                  {"count", loss_statistics_.count}}},
                {"branches", branches_},
                {"recipe", comparable_recipe(recipe_)}};
  checkpoints_.save(step, checkpoint_content(ema_ != nullptr), std::move(state));
}

// Runs on the writing thread: reads only what a run does not change.
void Trainer::complete_checkpoint(const fs::path& folder, const fs::path& final_path,
                                  const Json& state) const {
  for (const auto& [name, text] : model_files_) write_file_atomically(folder / name, text);
  Manifest manifest = manifest_of("checkpoint", state.at("step").get<int64_t>(),
                                  state.at("updates").get<int64_t>());
  const Json& known = state.at("files");
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    manifest.outputs.push_back(
        {name, name, "file",
         known.contains(name) ? known[name].get<std::string>() : hash_file(entry.path())});
  }
  std::ranges::sort(manifest.outputs, {}, &ArtefactRef::path);
  write_manifest(manifest_path(folder, true), manifest, manifest_path(final_path, true));
}

Manifest Trainer::manifest_of(std::string_view kind, int64_t step, int64_t updates) const {
  Manifest manifest = new_manifest(kind, hooks_.command);
  manifest.threads = threads_;  // of the run, wherever this is called
  manifest.seed = recipe_.train.seed;
  manifest.recipe = write_recipe(recipe_).dump();
  Json facts = {{"steps", step}, {"updates", updates}};
  if (!branches_.empty()) facts["branches"] = branches_;
  manifest.facts = facts.dump();
  manifest.inputs = inputs_;
  return manifest;
}

// Refuses a checkpoint that this run cannot go on from; what makes the rest a branch is recorded.
void Trainer::accept_state(const Json& state, Start start) {
  const auto step = state.at("step").get<int64_t>();
  const bool branch = start == Start::kBranch;
  require(
      state.value("format", 0) == kFormat, ErrorKind::kFormat, checkpoints_.path_of(step).string(),
      "was written in format {} and is read in format {}; go on with the release that wrote it, "
      "or start a new run",
      state.value("format", 0), kFormat);
  if (hours_) {
    recipe_.train.steps = state.at("recipe").at("train").at("steps").get<int64_t>();
    hours_.reset();
  }
  require(step <= recipe_.train.steps, ErrorKind::kConfig, "train.steps",
          "the run has taken {} steps already, more than {}; give at least as many", step,
          recipe_.train.steps);
  std::vector<std::string> notes = accept_changes(
      changes_between(state.at("recipe"), recipe_, step),
      {.step = step, .checkpoint = checkpoints_.path_of(step).string(), .branch = branch});
  const bool same_data = state.at("data") == data_hash_;
  const Json weights = weights_of(recipe_.data.train);
  const bool same_weights = state.at("weights") == weights;
  require(
      (same_data && same_weights) || branch, ErrorKind::kData, "data.train",
      "its {} not what the run began with, so the run cannot go on exactly; give the shards that "
      "it had as data.train, or add --branch to go on with {}",
      same_data ? "weights are" : "content is", join(recipe_.data.train, ", "));
  if (!same_data) notes.push_back("data.train: its content changed");
  if (!same_weights) notes.push_back("data.train: its weights changed");
  require(notes.empty() || step < recipe_.train.steps, ErrorKind::kConfig, "resume",
          "all {} steps are taken, so that nothing is left for which to change\n  {}\n"
          "Go on from an earlier checkpoint with --from-step, or give more train.steps",
          step, join(notes, "\n  "));
  branches_ = state.at("branches").get<std::vector<std::string>>();
  for (const std::string& note : notes) {
    branches_.push_back(fmt::format("after step {}: {}", step, note));
    hooks_.log.info("branch after step {}: {}", step, note);
  }
  const auto threads = state.at("threads").get<int64_t>();
  if (threads != threads_)
    hooks_.log.warn(
        "the run had {} threads so far and has {} now: sums are taken in another order, so its "
        "numbers differ in their last bits from those of a run that never stopped; --threads {} "
        "keeps them",
        threads, threads_, threads);
}

int64_t Trainer::load_checkpoint(Start start, std::optional<int64_t> from_step) {
  const std::vector<int64_t> steps = checkpoints_.steps();
  if (from_step)
    require(std::ranges::find(steps, *from_step) != steps.end(), ErrorKind::kConfig, "from-step",
            "there is no checkpoint of step {} in {}; there are those of step {}", *from_step,
            recipe_.train.out, steps.empty() ? "none" : fmt::format("{}", fmt::join(steps, ", ")));
  const Json state = checkpoints_.load_newest(
      hooks_.log,
      [&](const Json& s) {
        accept_state(s, start);
        return checkpoint_content(s.at("averages").get<bool>());
      },
      from_step.value_or(std::numeric_limits<int64_t>::max()));
  for (const int64_t step : steps)
    if (from_step && step > *from_step)
      hooks_.log.info("step {} is set aside as {}", step, checkpoints_.set_aside(step)->string());
  if (state.is_null()) {
    hooks_.log.info("no checkpoint in {} yet: starting from the beginning", recipe_.train.out);
    return 0;
  }
  updates_ = state.at("updates").get<int64_t>();
  tokens_ = state.at("tokens").get<int64_t>();
  flops_ = state.at("flops").get<double>();
  skipped_in_a_row_ = state.at("skipped_in_a_row").get<int64_t>();
  const Json& statistics = state.at("loss_statistics");
  loss_statistics_ = {statistics.at("mean").get<double>(), statistics.at("variance").get<double>(),
                      statistics.at("count").get<int64_t>()};
  if (ema_ && !state.at("averages").get<bool>())
    ema_ = std::make_unique<Ema>(recipe_.train.ema_decay, trained_);
  for (Parameter* p : parameters_)
    if (!p->compute.shares_storage(p->value)) p->compute.copy_from(p->value);
  const auto step = state.at("step").get<int64_t>();
  hooks_.log.info("resumed from step {}", step);
  return step;
}

void Trainer::write_model() {
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  const fs::path target = fs::path(recipe_.train.out) / "model";
  AtomicDirectory folder = make_output_folder({.path = target, .overwrite = true});
  save_weights(*model_, folder.temporary(), {.dtype = DType::kF32});
  for (const auto& [name, text] : model_files_)
    write_file_atomically(folder.temporary() / name, text);
  Manifest manifest = manifest_of("model", taken_, updates_);
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(target, true));
  folder.commit();
}

}  // namespace lathe
