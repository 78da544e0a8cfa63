// Checkpoints of a run: out/checkpoints/step-00000070/ is a model's folder that training can go on
// from, and holds
//   model.safetensors      the model as it would be used now, f32, under its family's names
//   optimizer.safetensors  optimiser state by its names, and whatever else training goes on with
//   state.json             step, counters, the recipe, the hash of each file above and of itself
//   config.json, tokenizer, manifest …   what CheckpointOptions::complete writes
// Written under a temporary name and renamed, so a checkpoint is there whole or not at all. There
// is no random state: every stream is a function of (seed, step).
//
// A checkpoint is written behind the training that goes on: by one thread, from the tensors
// themselves, without a copy. Reading them (forward, backward, validation) is free meanwhile;
// before anything writes to them, wait_until_read().
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

// A tensor of a checkpoint: how it comes from what the run holds, and gets back there.
struct CheckpointTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
  std::function<Tensor()> gather;                     // of that shape and dtype
  std::function<void(const Tensor& stored)> scatter;  // the opposite
};
// `tensor`, which is contiguous, as it is; the result shares its memory.
CheckpointTensor as_it_is(std::string name, const Tensor& tensor);

// What a checkpoint holds. When loading, the model is scattered before the rest.
struct CheckpointContent {
  std::vector<CheckpointTensor> model, optimizer;
};

struct CheckpointOptions {
  // What stays when a checkpoint has been written, as of prune(); keep_last 0 removes nothing.
  int64_t keep_last = 0, keep_every = 0;
  // Called by the writing thread before it reads the tensor of that name, and with "state.json"
  // once it has read all of them and nothing is durable yet. What it throws fails the write.
  std::function<void(std::string_view part)> on_part;
  // Called by the writing thread when all else is in `folder`, which will be at `final_path`; the
  // files it adds belong to the checkpoint. `state` is that of state.json.
  std::function<void(const std::filesystem::path& folder, const std::filesystem::path& final_path,
                     const nlohmann::ordered_json& state)>
      complete;
};

// Every member is called by the owner's thread. save(), wait_until_read(), finish() and
// load_newest() throw the error of the write before, once; the checkpoints written earlier are
// there nevertheless.
class CheckpointStore {
 public:
  explicit CheckpointStore(std::filesystem::path folder, CheckpointOptions options = {})
      : folder_(std::move(folder)), options_(std::move(options)) {}
  // Waits until what is being written is durable. Call finish() first to see its error.
  ~CheckpointStore() = default;

  // Steps of the checkpoints that exist, ascending.
  std::vector<int64_t> steps() const;
  std::filesystem::path path_of(int64_t step) const;

  // Begins to write and returns; waits first for a write under way. The tensors stay alive and
  // unchanged until wait_until_read() has returned; `state` is taken as it is now. Old checkpoints
  // are pruned when the new one is durable.
  void save(int64_t step, const CheckpointContent& content, nlohmann::ordered_json state);
  // Until the tensors given to save() may be changed. Costs nothing when nothing is written.
  void wait_until_read() { writing_.wait_until_read(); }
  // Until what was saved is durable and old checkpoints are pruned.
  void finish() { writing_.finish(); }
  // From save() to durable, of the write that finish() waited for last.
  double write_seconds() const { return writing_.seconds(); }
  // Loads the newest checkpoint, of a step of at most `last_step`, whose files are intact and
  // returns its state; damaged ones are named in `log` and passed over. `content_for` says where a
  // checkpoint of that state is loaded to, or refuses it by throwing. Error kFormat naming every
  // damaged one when none is left; a null value when there is no checkpoint at all.
  nlohmann::ordered_json load_newest(
      const Log& log,
      const std::function<CheckpointContent(const nlohmann::ordered_json& state)>& content_for,
      int64_t last_step = std::numeric_limits<int64_t>::max());
  // Points the link `best` at the checkpoint of `step`, which pruning then keeps.
  void mark_best(int64_t step) const;
  // Gives the checkpoint of `step`, if there is one, a name under which it is no longer loaded, nor
  // marked best; returns its new path. Not while a write is under way.
  std::optional<std::filesystem::path> set_aside(int64_t step) const;
  // Removes all but the newest `keep_last`, the multiples of `keep_every` (0: none of those) and the
  // one marked best. Not while a write is under way.
  void prune(int64_t keep_last, int64_t keep_every) const;
  // Temporaries of writers that died.
  void remove_leftovers() const;

 private:
  struct Snapshot;
  void write(Snapshot& snapshot, const std::function<void()>& has_read) const;

  std::filesystem::path folder_;
  CheckpointOptions options_;
  WriteBehind writing_;  // last: its end is waited for before the others go
};

}  // namespace lathe
