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

// What the keys and tensors of a file say about its model. Throws kFormat for keys of other types
// than GGUF gives them, and without a token table.
GgufDescription describe_gguf(const GgufReader& file, const GgufArchitecture& architecture);

class GgufModel : public StoredModel {
 public:
  // Throws as GgufReader, and kFormat for an architecture that Lathe does not read.
  explicit GgufModel(const std::filesystem::path& path);

  ModelConfig config(const Log& log) const override;
  StoredWeights weights(Transformer& model) const override;

  const GgufReader& file() const { return *file_; }
  const GgufArchitecture& architecture() const { return *architecture_; }

 private:
  std::shared_ptr<const GgufReader> file_;
  const GgufArchitecture* architecture_;
};

}  // namespace lathe
