// Writing a model as a Hugging Face folder: config.json, model.safetensors (or shards and their
// index), and generation_config.json. Reading: load_model.h.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/model/transformer.h"

namespace lathe {

struct SaveOptions {
  DType dtype = DType::kF32;
  // Files of at most this size; more tensors go to further shards with an index.
  int64_t shard_bytes = int64_t{5} << 30;
  // A folder whose config.json keys and tokenizer files are copied, or a GGUF file whose tokenizer
  // is; empty for none.
  std::filesystem::path like = {};
  // What is saved of a parameter; empty for its value. A run saves master copies or averages.
  TensorOf values = {};
};
// Writes into `folder`, which exists (usually the temporary of an AtomicDirectory).
void save_model(Transformer& model, const std::filesystem::path& folder,
                const SaveOptions& options);
// Only the weights.
void save_weights(Transformer& model, const std::filesystem::path& folder,
                  const SaveOptions& options);

// The contents of whole files by file name.
using ModelFiles = std::map<std::string, std::string>;
// What save_model() writes besides the weights: config.json, generation_config.json, and the
// tokenizer of `options.like`.
ModelFiles model_files(const Transformer& model, const SaveOptions& options);
// The tokenizer and chat template of a folder or a GGUF file; for a tokenizer file, only that file. Throws kConfig
// for a file that a folder of a model has no name for.
ModelFiles tokenizer_files(const std::filesystem::path& from);

}  // namespace lathe
