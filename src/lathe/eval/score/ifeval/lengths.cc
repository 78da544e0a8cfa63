// How many sentences, words and paragraphs there should be.
#include <algorithm>

#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/eval/score/ifeval/text_parts.h"
#include "lathe/eval/score/ifeval/words.h"

namespace lathe {
namespace {

// Of a paragraph that is not blank, in small letters: up to a mark, without quotation marks before it.
std::string first_word_of(std::string_view paragraph) {
  constexpr std::u32string_view kMarks = U".,?!'\"";
  std::vector<char32_t> all = jinja::characters_of(without_blanks(paragraph));
  all.erase(std::ranges::find_if(all, jinja::is_space), all.end());
  const auto skip = [&](char32_t mark) {
    all.erase(all.begin(), std::ranges::find_if(all, [&](char32_t c) { return c != mark; }));
  };
  skip('\'');
  skip('"');
  all.erase(std::ranges::find_if(
                all, [&](char32_t c) { return kMarks.find(c) != std::u32string_view::npos; }),
            all.end());
  return jinja::lower_case_of(jinja::text_of(all));
}

}  // namespace

InstructionCheck number_sentences(const InstructionArguments& a) {
  return [wanted = a.count("num_sentences", "relation")](const std::string& response) {
    return wanted.holds(count_sentences(response));
  };
}

InstructionCheck number_words(const InstructionArguments& a) {
  return [wanted = a.count("num_words", "relation")](const std::string& response) {
    return wanted.holds(count_words(response));
  };
}

// Nothing may stand between two dividers; before the first and behind the last it does not count.
InstructionCheck number_paragraphs(const InstructionArguments& a) {
  return [divider = expression(R"(\s?\*\*\*\s?)"),
          wanted = a.number("num_paragraphs")](const std::string& response) {
    const std::vector<std::string_view> all = parts_between(*divider, response);
    int64_t count = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!is_blank(all[i]))
        ++count;
      else if (i > 0 && i + 1 < all.size())
        return false;
    }
    return count == wanted;
  };
}

// Blank paragraphs do not count, but the n-th is found among all of them.
InstructionCheck nth_paragraph_first_word(const InstructionArguments& a) {
  const int64_t paragraphs = a.number("num_paragraphs"), nth = a.number("nth_paragraph");
  if (nth < 1 || nth > paragraphs) a.refuse("nth_paragraph", "one of num_paragraphs, from 1");
  return [divider = expression("\\n\\n"), paragraphs, nth,
          wanted = jinja::lower_case_of(a.text("first_word"))](const std::string& response) {
    const std::vector<std::string_view> all = parts_between(*divider, response);
    const auto count = std::ranges::count_if(all, [](auto each) { return !is_blank(each); });
    const std::string_view at = all[std::min(static_cast<size_t>(nth), all.size()) - 1];
    return count == paragraphs && !is_blank(at) && first_word_of(at) == wanted;
  };
}

}  // namespace lathe
