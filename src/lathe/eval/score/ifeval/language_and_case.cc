// Languages and capital letters. The authors' program detects languages with langdetect, which always gives one; here a
// text that says too little (language.h) is taken for the language that was asked for, as theirs takes a text without
// letters.
#include <algorithm>

#include "lathe/base/strings.h"
#include "lathe/corpus/language.h"
#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/eval/score/ifeval/text_parts.h"
#include "lathe/eval/score/ifeval/words.h"

namespace lathe {
namespace {

InstructionCheck english_in_case(bool upper) {
  return [upper](const std::string& response) {
    return jinja::has_case(response, upper) && may_be_in(response, "en");
  };
}

}  // namespace

InstructionCheck response_language(const InstructionArguments& a) {
  const std::string code = a.text("language");
  const std::string language = code.substr(0, code.find('-'));  // of zh-cn and zh-tw
  const std::vector<std::string> known = known_languages();
  if (std::ranges::find(known, language) == known.end())
    a.refuse("language", "one that can be told apart: " + join(known, ", "));
  return [language](const std::string& response) { return may_be_in(response, language); };
}

InstructionCheck capital_word_frequency(const InstructionArguments& a) {
  return [wanted = a.count("capital_frequency", "capital_relation")](const std::string& response) {
    return wanted.holds(count_capital_words(response));
  };
}

InstructionCheck english_capital(const InstructionArguments&) { return english_in_case(true); }
InstructionCheck english_lowercase(const InstructionArguments&) { return english_in_case(false); }

}  // namespace lathe
