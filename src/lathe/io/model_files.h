// The files that a model folder is made of, as transformers, tokenizers, tiktoken and Lathe name
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lathe {

enum class ModelFileKind : uint8_t {
  kConfig,     // config.json, generation_config.json
  kWeights,    // of transformers' names, whole or in shards
  kTokenizer,  // and chat templates
  kManifest,   // Lathe's
};

// By the file's name alone; absent for a name that does not occur in model folders.
std::optional<ModelFileKind> model_file_kind(std::string_view name);

}  // namespace lathe
