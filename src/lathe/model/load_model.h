// Reading a model: from a Hugging Face folder (config.json, and model.safetensors or
// pytorch_model.bin, or shards of them and their index) or from a GGUF file. In all functions `path`
// is one or the other.
#pragma once

#include <filesystem>
#include <memory>

#include "lathe/base/log.h"
#include "lathe/model/transformer.h"

namespace lathe {

// What config.json or the metadata of a GGUF file say. The weights override it: a model whose output
// head differs from its token table is not tied. One warning names the keys that are not known.
// Errors: kIo, kFormat, kConfig (a family or a setting that Lathe does not support).
ModelConfig read_model_config(const std::filesystem::path& path, const Log& log = {});

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
// Errors name a tensor that is missing or has another shape than the configuration says. Tensors
// that the model does not use (value heads, classifiers) are ignored with a warning. Quantised
// weights are decoded.
std::unique_ptr<Transformer> load_model(const std::filesystem::path& path,
                                        const LoadOptions& options);
// What becomes of quantised weights.
enum class QuantisedWeights : uint8_t {
  kDecoded,  // their elements, in the type of activations
  kNative,   // stay as they are where products can compute on the blocks (ops/quantized_matrix.h):
             // fewer bytes and faster, with activations rounded to 8 bits in blocks of 32
};
// For generation: kAsStored, because own memory is in huge pages and is read up to a fifth faster
// than a mapped file (LOG.md); kMapped if the copy would take more than half of the machine's
// memory.
std::unique_ptr<Transformer> load_for_inference(
    const std::filesystem::path& path, DType dtype, const Log& log = {},
    QuantisedWeights quantised = QuantisedWeights::kDecoded);
// Loads the weights into a model that is already allocated.
void load_weights(Transformer& model, const std::filesystem::path& path, const Log& log = {});

}  // namespace lathe
