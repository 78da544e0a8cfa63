// Checkpoints of a run: out/checkpoints/step-00000070/ holds
//   model.safetensors      master weights by parameter path, f32
//   optimizer.safetensors  optimiser state by its names, and the weight average
//   state.json             step, counters, the recipe, the hash of each file above and of itself
// Written under a temporary name and renamed, so a checkpoint is there whole or not at all. There
// is no random state: every stream is a function of (seed, step).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/tensor/tensor.h"

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

class CheckpointStore {
 public:
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Steps of the checkpoints that exist, ascending.
  std::vector<int64_t> steps() const;
  std::filesystem::path path_of(int64_t step) const;

  void save(int64_t step, const CheckpointContent& content, nlohmann::ordered_json state) const;
  // Loads the newest checkpoint whose files are intact into `content` and returns its state;
  // damaged ones are named in `log` and passed over. `check` may refuse a state by throwing. Error
  // kFormat naming every damaged one when none is left; a null value when there is no checkpoint at
  // all.
  nlohmann::ordered_json load_newest(
      const CheckpointContent& content, const Log& log,
      const std::function<void(const nlohmann::ordered_json& state)>& check) const;
  // Removes all but the newest `keep_last` and the multiples of `keep_every` (0: none of those).
  void prune(int64_t keep_last, int64_t keep_every) const;
  // Temporaries of writers that died.
  void remove_leftovers() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace lathe
