// Words and letters that should be there, or not.
#include <algorithm>

#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/eval/score/ifeval/text_parts.h"

namespace lathe {
namespace {

std::vector<SharedRegex> expressions_of(const InstructionArguments& a, const char* key,
                                        const std::string& before, const std::string& behind) {
  std::vector<SharedRegex> all;
  for (const std::string& each : a.texts(key))
    all.push_back(expression_of("(?i)" + before + each + behind, a, key));
  return all;
}

}  // namespace

InstructionCheck keywords_exist(const InstructionArguments& a) {
  return [all = expressions_of(a, "keywords", "", "")](const std::string& response) {
    return std::ranges::all_of(
        all, [&](const SharedRegex& each) { return count_matches(*each, response) > 0; });
  };
}

InstructionCheck keyword_frequency(const InstructionArguments& a) {
  const SharedRegex keyword = expression_of("(?i)" + a.text("keyword"), a, "keyword");
  return [keyword, wanted = a.count("frequency", "relation")](const std::string& response) {
    return wanted.holds(count_matches(*keyword, response));
  };
}

InstructionCheck forbidden_words(const InstructionArguments& a) {
  return [all = expressions_of(a, "forbidden_words", "\\b", "\\b")](const std::string& response) {
    return std::ranges::none_of(
        all, [&](const SharedRegex& each) { return count_matches(*each, response) > 0; });
  };
}

// The public set also asks for # and !, for which the authors' program draws a letter; here they are counted.
InstructionCheck letter_frequency(const InstructionArguments& a) {
  const std::vector<char32_t> letter = jinja::characters_of(jinja::lower_case_of(a.text("letter")));
  if (letter.size() != 1) a.refuse("letter", "one letter");
  return [letter = letter[0],
          wanted = a.count("let_frequency", "let_relation")](const std::string& response) {
    return wanted.holds(
        std::ranges::count(jinja::characters_of(jinja::lower_case_of(response)), letter));
  };
}

}  // namespace lathe
