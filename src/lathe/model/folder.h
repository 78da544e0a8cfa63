// A model on disk: a Hugging Face folder with config.json, model.safetensors (or shards and their
// index), and generation_config.json. Folders with pytorch_model.bin instead can also be read.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/base/log.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Reads config.json of a folder. The weights in the folder override it: a model whose output head
// differs from its token table is not tied. One warning names the keys that are not known. Errors:
// kIo, kFormat, kConfig (a family or a setting that Lathe does not support).
ModelConfig read_model_config(const std::filesystem::path& folder, const Log& log = {});

// Where parameters are held and in which type. Parameters that kernels widen as they read them
// (Parameter::widened_in_use) can stay bf16, as in the file, with f32 activations: this loses no
// precision and halves the bytes read.
enum class Residence : uint8_t {
  kOwn,       // own memory, in the requested type: what training and conversions need
  kAsStored,  // own memory, in the file's type where that can be read
  kMapped,    // the same, but left in the mapped file where that is possible; the file must not
              // change meanwhile
};

struct LoadOptions {
  DType dtype = DType::kF32;  // of activations, and of parameters unless `residence` differs
  Device device = Device::kCpu;
  Residence residence = Residence::kOwn;  // anything but kOwn needs kCpu
  Log log = {};  // of read_model_config(), and one warning with the tensors that were ignored
};
// Errors name a tensor that is missing or has another shape than config.json says. Tensors that the
// model does not use (value heads, classifiers) are ignored with a warning.
std::unique_ptr<Transformer> load_model(const std::filesystem::path& folder,
                                        const LoadOptions& options);
// For generation: kAsStored, because own memory is in huge pages and is read up to a fifth faster
// than a mapped file (LOG.md); kMapped if the copy would take more than half of the machine's
// memory.
std::unique_ptr<Transformer> load_for_inference(const std::filesystem::path& folder, DType dtype,
                                                const Log& log = {});
// Loads the weights into a model that is already allocated.
void load_weights(Transformer& model, const std::filesystem::path& folder, const Log& log = {});

struct SaveOptions {
  DType dtype = DType::kF32;
  // Files of at most this size; more tensors go to further shards with an index.
  int64_t shard_bytes = int64_t{5} << 30;
  // A folder whose config.json keys and tokenizer files are copied; empty for none.
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
// The tokenizer and chat template of a folder; for a tokenizer file, only that file. Throws kConfig
// for a file that a folder of a model has no name for.
ModelFiles tokenizer_files(const std::filesystem::path& from);

}  // namespace lathe
