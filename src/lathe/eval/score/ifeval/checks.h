// What makes the checks; what they are stands in the catalogue (instruction.cc).
#pragma once

#include "lathe/eval/score/ifeval/instruction.h"

namespace lathe {

// keywords.cc
InstructionCheck keywords_exist(const InstructionArguments& a);
InstructionCheck keyword_frequency(const InstructionArguments& a);
InstructionCheck forbidden_words(const InstructionArguments& a);
InstructionCheck letter_frequency(const InstructionArguments& a);
// lengths.cc
InstructionCheck number_sentences(const InstructionArguments& a);
InstructionCheck number_paragraphs(const InstructionArguments& a);
InstructionCheck number_words(const InstructionArguments& a);
InstructionCheck nth_paragraph_first_word(const InstructionArguments& a);
// formats.cc
InstructionCheck number_bullet_lists(const InstructionArguments& a);
InstructionCheck constrained_response(const InstructionArguments& a);
InstructionCheck number_highlighted_sections(const InstructionArguments& a);
InstructionCheck multiple_sections(const InstructionArguments& a);
InstructionCheck json_format(const InstructionArguments& a);
InstructionCheck title(const InstructionArguments& a);
// contents.cc
InstructionCheck number_placeholders(const InstructionArguments& a);
InstructionCheck postscript(const InstructionArguments& a);
InstructionCheck two_responses(const InstructionArguments& a);
InstructionCheck repeat_prompt(const InstructionArguments& a);
InstructionCheck end_phrase(const InstructionArguments& a);
InstructionCheck quotation(const InstructionArguments& a);
InstructionCheck no_comma(const InstructionArguments& a);
// language_and_case.cc
InstructionCheck response_language(const InstructionArguments& a);
InstructionCheck capital_word_frequency(const InstructionArguments& a);
InstructionCheck english_capital(const InstructionArguments& a);
InstructionCheck english_lowercase(const InstructionArguments& a);

}  // namespace lathe
