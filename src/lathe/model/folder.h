// A model on disk: a Hugging Face folder with config.json, model.safetensors (or shards and their
// index), and generation_config.json. Folders with pytorch_model.bin instead are read, too.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/base/log.h"
#include "lathe/model/transformer.h"

namespace lathe {

// config.json of a folder. What the weights beside it say otherwise counts: a model whose output head
// differs from its token table is not tied. Keys that are not known are named in one warning.
// Errors: kIo, kFormat, kConfig (a family or a setting that Lathe does not compute).
ModelConfig read_model_config(const std::filesystem::path& folder, const Log& log = {});

// Where parameters lie and in which type. Those that kernels widen as they read them
// (Parameter::widened_in_use) can stay bf16, as the file has them, beside f32 activations: nothing
// is lost, and half is read.
enum class Residence : uint8_t {
  kOwn,       // own memory, in the type asked for: what training and conversions need
  kAsStored,  // own memory, in the file's type where that can be read
  kMapped,    // the same, but left in the mapped file where they lie there as they are read; the
              // file must stay as it is meanwhile
};

struct LoadOptions {
  DType dtype = DType::kF32;  // of activations, and of the parameters in memory but for residence
  Device device = Device::kCpu;
  Residence residence = Residence::kOwn;  // kCpu only but for kOwn
  Log log = {};  // of read_model_config(), and one warning with the tensors that were passed over
};
// Errors name the tensor: missing, or of another shape than config.json says. Tensors that the model
// has no use for (value heads, classifiers) are passed over with a warning.
std::unique_ptr<Transformer> load_model(const std::filesystem::path& folder,
                                        const LoadOptions& options);
// For generation: as stored, because own memory lies in huge pages and is read up to a fifth faster
// than a mapped file (LOG.md); mapped when the copy would take more than half of the machine's
// memory.
std::unique_ptr<Transformer> load_for_inference(const std::filesystem::path& folder, DType dtype,
                                                const Log& log = {});
// The weights into a model that exists and is allocated.
void load_weights(Transformer& model, const std::filesystem::path& folder, const Log& log = {});

struct SaveOptions {
  DType dtype = DType::kF32;
  // Files of at most this size; more tensors go to further shards with an index.
  int64_t shard_bytes = int64_t{5} << 30;
  // A folder whose config.json keys and tokenizer files are carried along; empty for none.
  std::filesystem::path like = {};
  // What is saved of a parameter; empty for its value. A run saves master copies or averages.
  std::function<const Tensor&(Parameter&)> values = {};
};
// Writes into `folder`, which exists (usually the temporary of an AtomicDirectory).
void save_model(Transformer& model, const std::filesystem::path& folder,
                const SaveOptions& options);
// The weights of it alone.
void save_weights(Transformer& model, const std::filesystem::path& folder,
                  const SaveOptions& options);

// Whole texts by file name.
using ModelFiles = std::map<std::string, std::string>;
// What save_model() writes besides the weights: config.json, generation_config.json, and the
// tokenizer of `options.like`.
ModelFiles model_files(const Transformer& model, const SaveOptions& options);
// Tokenizer and chat template of a folder; of a file that holds a tokenizer that file alone.
ModelFiles tokenizer_files(const std::filesystem::path& from);

}  // namespace lathe
