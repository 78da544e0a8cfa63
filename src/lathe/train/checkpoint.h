// Checkpoints of a run: out/checkpoints/step-00000070/ holds
//   model.safetensors      master weights by parameter path, f32
//   optimizer.safetensors  optimiser state by its names, and the weight average
//   state.json             step, counters, the recipe, the hash of each file above and of itself
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
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/tensor/tensor.h"
#include "lathe/train/write_behind.h"

namespace lathe {

struct NamedTensor {
  std::string name;
  Tensor* tensor;
};

// What a checkpoint holds. Tensors are read when saving and overwritten (same shape and dtype) when
// loading.
struct CheckpointContent {
  std::vector<NamedTensor> model, optimizer;
};

struct CheckpointOptions {
  // What stays when a checkpoint has been written, as of prune(); keep_last 0 removes nothing.
  int64_t keep_last = 0, keep_every = 0;
  // Called by the writing thread before it reads the tensor of that name, and with "state.json"
  // once it has read all of them and nothing is durable yet. What it throws fails the write.
  std::function<void(std::string_view part)> on_part;
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
  // Loads the newest checkpoint whose files are intact into `content` and returns its state;
  // damaged ones are named in `log` and passed over. `check` may refuse a state by throwing. Error
  // kFormat naming every damaged one when none is left; a null value when there is no checkpoint at
  // all.
  nlohmann::ordered_json load_newest(
      const CheckpointContent& content, const Log& log,
      const std::function<void(const nlohmann::ordered_json& state)>& check);
  // Removes all but the newest `keep_last` and the multiples of `keep_every` (0: none of those).
  // Not while a write is under way.
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
