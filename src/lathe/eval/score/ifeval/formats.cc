// How an answer should be laid out.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/eval/score/ifeval/text_parts.h"

namespace lathe {
namespace {

std::string_view without(std::string_view text, std::string_view before, std::string_view behind) {
  if (text.starts_with(before)) text.remove_prefix(before.size());
  if (text.ends_with(behind)) text.remove_suffix(behind.size());
  return text;
}

}  // namespace

InstructionCheck number_bullet_lists(const InstructionArguments& a) {
  return [stars = expression(R"((?m)^\s*\*[^\*].*$)"), dashes = expression(R"((?m)^\s*-.*$)"),
          wanted = a.number("num_bullets")](const std::string& response) {
    return count_matches(*stars, response) + count_matches(*dashes, response) == wanted;
  };
}

InstructionCheck constrained_response(const InstructionArguments&) {
  return [](const std::string& response) {
    return std::ranges::any_of(
        std::initializer_list<const char*>{"My answer is yes.", "My answer is no.",
                                           "My answer is maybe."},
        [&](const char* each) { return response.find(each) != std::string::npos; });
  };
}

// What two stars enclose counts twice where one star's expression finds it, too.
InstructionCheck number_highlighted_sections(const InstructionArguments& a) {
  return [single = expression(R"(\*[^\n\*]*\*)"), twofold = expression(R"(\*\*[^\n\*]*\*\*)"),
          wanted = a.number("num_highlights")](const std::string& response) {
    int64_t count = 0;
    const auto find = [&](const Regex& regex, size_t stars) {
      regex.for_each_match(response, [&](size_t begin, size_t end) {
        const std::string_view all = std::string_view(response).substr(begin, end - begin);
        count += !is_blank(all.substr(stars, all.size() - 2 * stars));
      });
    };
    find(*single, 1);
    find(*twofold, 2);
    return count >= wanted;
  };
}

InstructionCheck multiple_sections(const InstructionArguments& a) {
  const SharedRegex heading =
      expression_of(R"(\s?)" + a.text("section_spliter") + R"(\s?\d+\s?)", a, "section_spliter");
  return [heading, wanted = a.number("num_sections")](const std::string& response) {
    return count_matches(*heading, response) >= wanted;
  };
}

// As RFC 8259 has it: the authors' program also takes NaN, Infinity and numbers that no double holds.
InstructionCheck json_format(const InstructionArguments&) {
  return [](const std::string& response) {
    std::string_view text = without_blanks(response);
    for (const char* fence : {"```json", "```Json", "```JSON", "```"})
      text = without(text, fence, "");
    text = without_blanks(without(text, "", "```"));
    return nlohmann::json::accept(text);
  };
}

InstructionCheck title(const InstructionArguments&) {
  return [titles = expression("<<[^\\n]+>>")](const std::string& response) {
    bool found = false;
    titles->for_each_match(response, [&](size_t begin, size_t end) {
      std::string_view text = std::string_view(response).substr(begin, end - begin);
      text = jinja::strip_left(text, [](char32_t c) { return c == '<'; });
      found = found || !is_blank(jinja::strip_right(text, [](char32_t c) { return c == '>'; }));
    });
    return found;
  };
}

}  // namespace lathe
