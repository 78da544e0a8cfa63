#include "lathe/chat/probe_answer.h"

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
const Json kQuestion = {{"role", "user"}, {"content", "a question"}};
constexpr std::string_view kAnswer = "a plain answer";

}  // namespace

std::string render_probe(const ChatTemplate& chat_template, const Json& answer, const Json& tools) {
  return chat_template.text({{"messages", Json::array({kQuestion, answer})}, {"tools", tools}});
}

AnswerPlace place_of_answer(const ChatTemplate& chat_template, const Json& tools,
                            std::string_view where) {
  AnswerPlace out;
  out.prompt = chat_template.text(
      {{"messages", Json::array({kQuestion})}, {"tools", tools}, {"add_generation_prompt", true}});
  const std::string plain =
      render_probe(chat_template, {{"role", "assistant"}, {"content", kAnswer}}, tools);
  const size_t at = plain.rfind(kAnswer);
  require(at != std::string::npos, ErrorKind::kData, where,
          "the chat template does not write the answer of an assistant");
  out.before = plain.substr(0, at);
  out.behind = plain.substr(at + kAnswer.size());
  return out;
}

std::string AnswerPlace::answer_in(std::string_view text, std::string_view where) const {
  for (const std::string* beginning : {&before, &prompt})
    if (text.starts_with(*beginning)) return std::string(text.substr(beginning->size()));
  fail(ErrorKind::kData, where,
       "the chat template begins an answer of this kind otherwise than a plain one");
}

}  // namespace lathe
