// The arrays of a model folder, each with the place in the model that it fills.
//
// Published checkpoints may be older than the names that transformers writes today. The other names
// that an array may have, and the arrays that are not weights at all, are listed here once for all
// families (Family::other_endings adds what only one family had):
//   - the base model's prefix may be missing ("h.0.ln_1.weight" for "transformer.h.0.ln_1.weight")
//   - every name may have the prefix of a wrapper ("module.", "_orig_mod.")
//   - constant buffers (causal masks, rotary frequencies, position ids) are stored with the weights
//   - tied matrices are stored once, under either name, or twice
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/io/array_reader.h"
#include "lathe/model/weight_map.h"

namespace lathe {

struct StoredWeights {
  std::shared_ptr<const ArrayReader> reader;
  std::vector<DiskTensor> places;
  std::vector<const ArraySpan*> arrays;  // of places
  std::vector<std::string> unused;  // arrays that have no place in the model and are not buffers

  // The array of a place: stored_tensor(), stored_dtype().
  Tensor tensor(size_t place) const;
  DType dtype(size_t place) const;
  // Copies the array of a place into the parameters there, and gives back the memory of reading it.
  void copy(size_t place) const;
  // One warning that names the unused arrays of the model at `path`, if there are any.
  void warn_of_unused(const std::filesystem::path& path, const Log& log) const;
};

// `family` is the one that config.json names. Errors: kIo, and kFormat for an array that is missing
// or does not have the shape or dtype that the model requires.
StoredWeights find_weights(Transformer& model, const Family& family,
                           std::shared_ptr<const ArrayReader> reader);

// Whether the array is blocks of quantised numbers (tensor/blocks).
bool is_quantised(const ArraySpan& array);

// The type of stored_tensor(): the array's own, kF32 for blocks of quantised numbers. Throws kFormat
// for arrays that are neither floating-point numbers nor blocks that Lathe reads.
DType stored_dtype(const ArraySpan& array);

// The array as a tensor: its own bytes if they are aligned, kept alive by `owner`, else a copy;
// blocks of quantised numbers are decoded. Throws as stored_dtype().
Tensor stored_tensor(const ArraySpan& array, std::shared_ptr<const void> owner);

// Throws kFormat unless there is an array, of the shape and of a type that `place` requires.
// `asks` is what says so: "config.json".
void check_array(const ArraySpan* array, const DiskTensor& place, std::string_view asks);

// The array of a folder for `name`, under that name or an older one; null if there is none.
const ArraySpan* find_array(const ArrayReader& reader, const std::string& name,
                            const Family& family);

// The name on disk of the matrix of a module of ours, "embedding" or "head"; absent if the family has
// no rule for it.
std::optional<std::string> matrix_on_disk(const Family& family, const std::string& module);
// "transformer." of "transformer.wte": what the model with a head has before the names of its base
// model.
std::string_view base_prefix(const Family& family);

// Whether the folder has both an output head and a token table that differs from it: such a model
// is not tied, whatever config.json says.
bool has_head_of_its_own(const ArrayReader& reader, const Family& family);

}  // namespace lathe
