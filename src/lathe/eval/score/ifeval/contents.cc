// What an answer should have in it, begin or end with, and do without.
#include <algorithm>

#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/eval/score/ifeval/text_parts.h"

namespace lathe {

InstructionCheck number_placeholders(const InstructionArguments& a) {
  return [brackets = expression(R"(\[.*?\])"), wanted = a.number("num_placeholders")](
             const std::string& response) { return count_matches(*brackets, response) >= wanted; };
}

// Two markers may have blanks in them; another one is an expression.
InstructionCheck postscript(const InstructionArguments& a) {
  const std::string marker = a.text("postscript_marker");
  const SharedRegex found =
      marker == "P.P.S"  ? expression(R"(p\.\s?p\.\s?s)")
      : marker == "P.S." ? expression(R"(p\.\s?s\.)")
                         : expression_of(jinja::lower_case_of(marker), a, "postscript_marker");
  return [found](const std::string& response) {
    return count_matches(*found, jinja::lower_case_of(response)) > 0;
  };
}

// Nothing may stand between two dividers; before the first and behind the last it does not count.
InstructionCheck two_responses(const InstructionArguments&) {
  return [divider = expression(R"(\*{6})")](const std::string& response) {
    const std::vector<std::string_view> all = parts_between(*divider, response);
    std::vector<std::string_view> answers;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!is_blank(all[i]))
        answers.push_back(without_blanks(all[i]));
      else if (i > 0 && i + 1 < all.size())
        return false;
    }
    return answers.size() == 2 && answers[0] != answers[1];
  };
}

InstructionCheck repeat_prompt(const InstructionArguments& a) {
  return [prompt = jinja::lower_case_of(a.text("prompt_to_repeat"))](const std::string& response) {
    return jinja::lower_case_of(without_blanks(response)).starts_with(prompt);
  };
}

InstructionCheck end_phrase(const InstructionArguments& a) {
  return [phrase = jinja::lower_case_of(a.text("end_phrase"))](const std::string& response) {
    const auto quotation_mark = [](char32_t c) { return c == '"'; };
    const std::string_view text = jinja::strip_left(
        jinja::strip_right(without_blanks(response), quotation_mark), quotation_mark);
    return jinja::lower_case_of(text).ends_with(phrase);
  };
}

InstructionCheck quotation(const InstructionArguments&) {
  return [](const std::string& response) {
    const std::string_view text = without_blanks(response);
    return text.size() > 1 && text.front() == '"' && text.back() == '"';
  };
}

InstructionCheck no_comma(const InstructionArguments&) {
  return [](const std::string& response) { return response.find(',') == std::string::npos; };
}

}  // namespace lathe
