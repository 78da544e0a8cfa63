// The files that a folder of a model or of an adapter is made of, as transformers, PEFT, tokenizers,
// tiktoken and Lathe name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lathe {

enum class ModelFileKind : uint8_t {
  kConfig,     // config.json, generation_config.json, adapter_config.json
  kWeights,    // of transformers' names, whole or in shards
  kTokenizer,  // and chat templates
  kManifest,   // Lathe's
};

// By the file's name alone; absent for a name that does not occur in such folders.
std::optional<ModelFileKind> model_file_kind(std::string_view name);

}  // namespace lathe
