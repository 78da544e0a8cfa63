// Two texts as one sequence, as the post-processor of a tokenizer.json puts them together for models that compare them:
// "[CLS] first [SEP] second [SEP]". The ids and types equal those of transformers' tokenizer(first, second).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

struct TextPair {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;  // of each id: which of BERT's segments it belongs to
};

// Thread-safe. The tokenizer must outlive it.
class PairEncoder {
 public:
  // Errors: kFormat for a post-processor whose `pair` is damaged or leaves a text out.
  explicit PairEncoder(const Tokenizer& tokenizer);
  TextPair encode(std::string_view first, std::string_view second) const;

 private:
  // Special tokens, or the first text or the second.
  struct Part {
    int text = -1;
    std::vector<int32_t> ids = {};
    int32_t type = 0;
  };
  struct Template;

  const Tokenizer& tokenizer_;
  std::vector<Part> parts_;
};

}  // namespace lathe
