// Answers whose sentences say where they come from: their grammar, and how they are taken apart.
//
//   The mill was built in 1802. [2] It burned down twice. [1]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/constraint/grammar.h"

namespace lathe {

inline constexpr std::string_view kNotInDocuments = "The documents do not say.";

// Of answers that are one to four sentences, each with the number of one of `passages` behind it, from 1, or that are
// kNotInDocuments if it `may_abstain`. A sentence ends at a stop that a blank or the mark follows, and has at most 300 characters.
constraint::Grammar answer_grammar(int64_t passages, bool may_abstain);

struct AnswerSentence {
  std::string text;     // without its mark
  int64_t passage = 0;  // from 1; 0: it has none
};
// Of any text: what stands before each "[k]", and what is left.
std::vector<AnswerSentence> sentences_of_answer(std::string_view answer);

}  // namespace lathe
