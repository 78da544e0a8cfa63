#include "lathe/documents/ask/answer_text.h"

#include <fmt/format.h>

#include <charconv>

#include "lathe/constraint/gbnf.h"
#include "lathe/documents/read/readers.h"

namespace lathe {

constraint::Grammar answer_grammar(int64_t passages, bool may_abstain) {
  std::string marks;
  for (int64_t k = 1; k <= passages; ++k) marks += fmt::format("{}\"{}\"", k > 1 ? " | " : "", k);
  // A stop within a sentence stands before a letter or a digit: 3.5, example.org.
  return constraint::gbnf_grammar(
      fmt::format("root ::= {}cited (\" \" cited){{0,3}}\n"
                  "cited ::= sentence \" [\" mark \"]\"\n"
                  "mark ::= {}\n"
                  "sentence ::= first rest{{4,300}} stop?\n"
                  "first ::= [^\\[\\].!?。！？ \\n\\t\\r]\n"
                  "rest ::= [^\\[\\].!?。！？\\n\\t\\r] | [.!?] [^\\[\\].!?。！？ \\n\\t\\r]\n"
                  "stop ::= [.!?。！？]\n",
                  may_abstain ? fmt::format("\"{}\" | ", kNotInDocuments) : "", marks));
}

std::vector<AnswerSentence> sentences_of_answer(std::string_view answer) {
  std::vector<AnswerSentence> out;
  while (!answer.empty()) {
    AnswerSentence sentence;
    size_t open = answer.find('['), end = answer.size();
    for (; open != std::string_view::npos; open = answer.find('[', open + 1)) {
      const size_t close = answer.find(']', open);
      if (close == std::string_view::npos) {
        open = close;
        break;
      }
      const char* last = answer.data() + close;
      const auto [read, error] = std::from_chars(answer.data() + open + 1, last, sentence.passage);
      if (error == std::errc() && read == last) {
        end = close + 1;
        break;
      }
      sentence.passage = 0;
    }
    sentence.text = without_blanks(answer.substr(0, std::min(open, answer.size())));
    answer.remove_prefix(end);
    if (!sentence.text.empty()) out.push_back(std::move(sentence));
    while (answer.starts_with(' ') || answer.starts_with('\n')) answer.remove_prefix(1);
  }
  return out;
}

}  // namespace lathe
