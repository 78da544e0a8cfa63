// A model on disk: a Hugging Face folder with config.json, model.safetensors (or shards and their
// index), and generation_config.json. Folders with pytorch_model.bin instead are read, too.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "lathe/model/transformer.h"

namespace lathe {

// config.json of a folder. Errors: kIo, kFormat, kConfig (a family or a setting that Lathe does not
// compute).
ModelConfig read_model_config(const std::filesystem::path& folder);

struct LoadOptions {
  DType dtype = DType::kF32;  // of the parameters in memory
  Device device = Device::kCpu;
};
// Errors name the tensor: missing, unexpected, or of another shape than config.json says.
std::unique_ptr<Transformer> load_model(const std::filesystem::path& folder,
                                        const LoadOptions& options);
// The same into a model that exists and is allocated.
void load_weights(Transformer& model, const std::filesystem::path& folder);

struct SaveOptions {
  DType dtype = DType::kF32;
  // Files of at most this size; more tensors go to further shards with an index.
  int64_t shard_bytes = int64_t{5} << 30;
  // A folder whose config.json keys and tokenizer files are carried along; empty for none.
  std::filesystem::path like;
};
// Writes into `folder`, which exists (usually the temporary of an AtomicDirectory).
void save_model(Transformer& model, const std::filesystem::path& folder,
                const SaveOptions& options);

// The files besides config.json and weights that belong to a model: tokenizer and chat template.
void copy_tokenizer_files(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace lathe
