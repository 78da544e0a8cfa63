// Checkpoints of a run: out/checkpoints/step-00000070/ is a model folder from which training can
// continue; it holds
//   model.safetensors      the model as it would be used now, f32, under its family's names
//   optimizer.safetensors  optimiser state by its names, and whatever else training goes on with
//   state.json             step, counters, the recipe, the hash of each file above and of itself
//   config.json, tokenizer, manifest …   what CheckpointOptions::complete writes
// It is written under a temporary name and renamed, so a checkpoint exists completely or not at
// all. There is no random state: every stream is a function of (seed, step).
//
// A checkpoint is written in the background while training continues: by one thread, from the
// tensors themselves, without a copy. They may be read meanwhile (forward, backward, validation);
// before anything writes to them, call wait_until_read().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/tensor/tensor.h"
#include "lathe/train/write_behind.h"

namespace lathe {

// A tensor of a checkpoint: how it is made from the tensors of the run, and copied back to them.
struct CheckpointTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
  std::function<Tensor()> gather;                     // of that shape and dtype
  std::function<void(const Tensor& stored)> scatter;  // the opposite
};
// `tensor`, which is contiguous, as it is; the result shares its memory.
CheckpointTensor as_it_is(std::string name, const Tensor& tensor);

// The content of a checkpoint. When it is loaded, the model is scattered before the rest.
struct CheckpointContent {
  std::vector<CheckpointTensor> model, optimizer;
};

struct CheckpointOptions {
  // Which checkpoints to keep after writing one, as for prune(); keep_last 0 removes nothing.
  int64_t keep_last = 0, keep_every = 0;
  // Called by the writing thread before it reads the tensor of that name, and with "state.json"
  // once it has read all of them and nothing is durable yet. If it throws, the write fails.
  std::function<void(std::string_view part)> on_part;
  // Called by the writing thread when everything else is in `folder`, which will be at
  // `final_path`; the files it adds belong to the checkpoint. `state` is that of state.json.
  std::function<void(const std::filesystem::path& folder, const std::filesystem::path& final_path,
                     const nlohmann::ordered_json& state)>
      complete;
};

// Every member is called by the owner's thread. save(), wait_until_read(), finish() and
// load_newest() throw the error of the previous write, once; checkpoints written earlier are not
// affected.
class CheckpointStore {
 public:
  explicit CheckpointStore(std::filesystem::path folder, CheckpointOptions options = {})
      : folder_(std::move(folder)), options_(std::move(options)) {}
  // Waits until what is being written is durable. Call finish() first to see its error.
  ~CheckpointStore() = default;

  // Steps of the checkpoints that exist, ascending.
  std::vector<int64_t> steps() const;
  std::filesystem::path path_of(int64_t step) const;

  // Starts to write and returns; waits first for a write in progress. The tensors stay alive and
  // unchanged until wait_until_read() has returned; `state` is taken as it is now. Old checkpoints
  // are pruned when the new one is durable.
  void save(int64_t step, const CheckpointContent& content, nlohmann::ordered_json state);
  // Waits until the tensors given to save() may be changed. Costs nothing if nothing is being
  // written.
  void wait_until_read() { writing_.wait_until_read(); }
  // Waits until what was saved is durable and old checkpoints are pruned.
  void finish() { writing_.finish(); }
  // The time from save() until the checkpoint was durable, for the write that finish() last waited
  // for.
  double write_seconds() const { return writing_.seconds(); }
  // Loads the newest checkpoint, of a step of at most `last_step`, whose files are intact and
  // returns its state; damaged ones are named in `log` and skipped. `content_for` says where a
  // checkpoint of that state is loaded to, or refuses it by throwing. Throws kFormat, naming every
  // damaged one, if no other is left; returns null if there is no checkpoint at all.
  nlohmann::ordered_json load_newest(
      const Log& log,
      const std::function<CheckpointContent(const nlohmann::ordered_json& state)>& content_for,
      int64_t last_step = std::numeric_limits<int64_t>::max());
  // Points the link `best` at the checkpoint of `step`, which pruning then keeps.
  void mark_best(int64_t step) const;
  // Renames the checkpoint of `step`, if there is one, so that it is no longer loaded nor marked
  // best; returns its new path. Must not be called during a write.
  std::optional<std::filesystem::path> set_aside(int64_t step) const;
  // Removes all but the newest `keep_last`, the multiples of `keep_every` (0: none of those) and
  // the one marked best. Must not be called during a write.
  void prune(int64_t keep_last, int64_t keep_every) const;
  // Temporaries of writers that were killed.
  void remove_leftovers() const;

 private:
  struct Snapshot;
  void write(Snapshot& snapshot, const std::function<void()>& has_read) const;

  std::filesystem::path folder_;
  CheckpointOptions options_;
  WriteBehind writing_;  // last, so that it has ended before the others are destroyed
};

}  // namespace lathe
