// The part of a shard's documents that is kept for validation: which documents they are, and what
// happens to the part from an earlier call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/base/rng.h"

namespace lathe {

// Draws documents for validation, each with the probability `fraction`, and remembers 8 bytes of a
// hash of every text (XXH3) to find those that are in both parts.
class ValidationSplit {
 public:
  // `by_content`: the draw is a function of the seed and the text, otherwise of the seed and the
  // number of the document.
  ValidationSplit(uint64_t seed, double fraction, bool by_content)
      : draw_(Rng(seed).fork("validation")), fraction_(fraction), by_content_(by_content) {}

  // The draw for the next document.
  bool is_validation(std::string_view text);
  // The number of validation documents whose text equals that of a training document. Sorts the
  // hashes.
  int64_t validation_also_in_training();

 private:
  Rng draw_;
  double fraction_;
  bool by_content_;
  uint64_t documents_ = 0;
  std::vector<uint64_t> training_, validation_;  // hashes
};

// Throws kData if OUT-valid exists and the origin of its documents is unknown: they could be in the
// new training data. One that another command made (not by splitting OUT) is kept, with a warning
// in the log.
void refuse_foreign_validation_part(const std::string& out, const Log& log);

// Removes OUT-valid if it came from splitting OUT; returns whether there was one. Throws kIo.
bool remove_validation_part(const std::string& out);

}  // namespace lathe
