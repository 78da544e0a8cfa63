// The part of a shard's documents that is kept for validation: which they are, and what happens to
// the part that an earlier call left.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/base/rng.h"

namespace lathe {

// Draws documents for validation, each with the probability `fraction`, and remembers 8 bytes of a
// hash of every text (XXH3) to tell which stand in both parts.
class ValidationSplit {
 public:
  // `by_content`: the draw is a function of the seed and the text, otherwise of the seed and the
  // number of the document.
  ValidationSplit(uint64_t seed, double fraction, bool by_content)
      : draw_(Rng(seed).fork("validation")), fraction_(fraction), by_content_(by_content) {}

  // Of the next document.
  bool is_validation(std::string_view text);
  // Validation documents whose text is that of a training document. Sorts what is remembered.
  int64_t validation_also_in_training();

 private:
  Rng draw_;
  double fraction_;
  bool by_content_;
  uint64_t documents_ = 0;
  std::vector<uint64_t> training_, validation_;  // hashes
};

// Error kData when OUT-valid is there and nothing tells where its documents are from: they could
// stand in the new training data. One that a command made on its own (not by splitting OUT) stays;
// the log warns of it.
void refuse_foreign_validation_part(const std::string& out, const Log& log);

// Removes OUT-valid when splitting OUT made it; whether there was one. Error kIo.
bool remove_validation_part(const std::string& out);

}  // namespace lathe
