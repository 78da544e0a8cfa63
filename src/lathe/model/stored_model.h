// A model on disk, whatever the format: what it is, and where its weights are.
#pragma once

#include <filesystem>
#include <memory>

#include "lathe/base/log.h"
#include "lathe/model/stored_weights.h"

namespace lathe {

class StoredModel {
 public:
  virtual ~StoredModel() = default;
  // As read_model_config() (load_model.h).
  virtual ModelConfig config(const Log& log) const = 0;
  // The arrays for a model of config(). Throws kFormat for an array that is missing or has another
  // shape or a type that Lathe does not read.
  virtual StoredWeights weights(Transformer& model) const = 0;
};

// A GGUF file by its first bytes, else a folder. Throws kIo if there is nothing at `path`, kFormat for
// another file.
std::unique_ptr<const StoredModel> open_stored_model(const std::filesystem::path& path);

}  // namespace lathe
