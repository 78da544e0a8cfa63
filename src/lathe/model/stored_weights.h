// The arrays of a model folder, each beside the place in the model that it fills.
//
// Published checkpoints are older than the names that transformers writes today. Which other names
// an array may have, and which arrays are no weights at all, is said here once for all families
// (Family::other_endings adds what only one family had):
//   - the base model's prefix may be missing ("h.0.ln_1.weight" for "transformer.h.0.ln_1.weight")
//   - a wrapper's prefix may stand before every name ("module.", "_orig_mod.")
//   - constant buffers (causal masks, rotary frequencies, counted positions) lie beside the weights
//   - tied matrices lie there once, under either name, or twice
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lathe/io/array_reader.h"
#include "lathe/model/weight_map.h"

namespace lathe {

struct StoredWeights {
  std::shared_ptr<const ArrayReader> reader;
  std::vector<DiskTensor> places;
  std::vector<Tensor> arrays;       // of places
  std::vector<std::string> unused;  // arrays that have no place in the model and are no buffers
};

// `family` is the one that config.json names. Errors: kIo, and kFormat for an array that is missing
// or has another shape or dtype than the model asks for.
StoredWeights find_weights(Transformer& model, const Family& family,
                           std::shared_ptr<const ArrayReader> reader);

// The array as a tensor: its own bytes where they are aligned, kept alive by `owner`, else a copy.
// kFormat for a dtype that is no floating one.
Tensor stored_tensor(const ArraySpan& array, std::shared_ptr<const void> owner);

// The array of a folder that stands for `name`, under that name or an older one; null when there is
// none.
const ArraySpan* find_array(const ArrayReader& reader, const std::string& name,
                            const Family& family);

// Whether the folder has an output head beside a token table that differs from it: such a model is
// not tied, whatever config.json says.
bool has_head_of_its_own(const ArrayReader& reader, const Family& family);

}  // namespace lathe
