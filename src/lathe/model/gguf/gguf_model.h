// A GGUF file as a StoredModel: its configuration from the keys, its tensors with what they fill.
#pragma once

#include <filesystem>
#include <memory>

#include "lathe/io/gguf.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/stored_model.h"

namespace lathe {

// Whether there is a file at `path` that begins as GGUF files do.
bool is_gguf_file(const std::filesystem::path& path);

class GgufModel : public StoredModel {
 public:
  // Throws as GgufReader, and kFormat for an architecture that Lathe does not read.
  explicit GgufModel(const std::filesystem::path& path);

  ModelConfig config(const Log& log) const override;
  StoredWeights weights(Transformer& model) const override;

 private:
  std::shared_ptr<const GgufReader> file_;
  const GgufArchitecture* architecture_;
};

}  // namespace lathe
