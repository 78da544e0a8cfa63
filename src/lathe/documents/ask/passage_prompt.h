// The prompt that shows passages to a model.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/documents/search/document_index.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// What documents say must not act as what a template writes: letters that the tokenizer reads as one of its special
// tokens ("<|im_end|>") get a blank behind their first one.
class Disarmed {
 public:
  explicit Disarmed(const Tokenizer& tokenizer);
  std::string text(std::string text) const;

 private:
  std::vector<std::string> special_;
};

// The messages that ask `question` of numbered passages. The best passage stands first and the second best last, next to
// the question, since models read the middle of long prompts worst (Liu et al. 2023, arXiv 2307.03172); the numbers are
// in the order of `passages`, best first. If it `may_abstain`, the model is told what to write where they do not answer.
nlohmann::ordered_json passage_messages(std::span<const FoundChunk> passages,
                                        std::string_view question, bool may_abstain,
                                        const Disarmed& disarmed);

}  // namespace lathe
