// Prompt lookup: a text that quotes itself goes on as it did before (Saxena 2023, "Prompt Lookup
// Decoding"; the copy mechanism of Yang et al. 2023, arXiv:2304.04487).
#pragma once

#include "lathe/infer/speculation/drafter.h"

namespace lathe {

// What followed the last place with the same last tokens, the longest such run up to `longest`
// tokens and at least `shortest`. An encoder-decoder also quotes its encoder's text.
class PromptLookup : public Drafter {
 public:
  explicit PromptLookup(int64_t shortest = 2, int64_t longest = 8)
      : shortest_(shortest), longest_(longest) {}
  void guess(std::span<Draft> drafts) override;

 private:
  int64_t shortest_, longest_;
};

}  // namespace lathe
