#include <nlohmann/json.hpp>

#include "chat/tool_testing.h"
#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/chat/answer_reader.h"

namespace lathe::fuzz {

// The first byte chooses a syntax, whether the prompt opens a thought, and whether there are stop strings; behind it
// stands an answer. The parts are the message, in UTF-8.
void check(std::string_view bytes) {
  using namespace testing;
  static const auto syntaxes = [] {
    std::vector<ToolCallSyntax> all;
    for (const std::string& calls : {kHermes, kMistral, kLlama, kDeepseek})
      all.push_back(tool_call_syntax(tool_template(calls), tool_tokenizer(), tool_ends()));
    return all;
  }();
  static const auto tags = thinking_tags(tool_template(kHermes), tool_tokenizer());
  if (bytes.empty()) return;
  const auto how = static_cast<uint8_t>(bytes[0]);
  std::vector<std::string> stop;
  if (how & 8) stop = {"\n\n", ""};
  AnswerReader reader(
      tool_tokenizer(),
      {.calls = &syntaxes[how % 4], .thinking = &*tags, .opened = (how & 4) != 0, .stop = stop});
  std::vector<AnswerPart> parts;
  for (const int32_t token : tool_tokenizer().encode(bytes.substr(1)))
    if (!reader.push(token, parts)) break;
  reader.finish(parts);
  ChatMessage joined;
  for (const AnswerPart& part : parts) {
    promise(!part.text.empty() && is_valid_utf8(part.text));
    if (part.kind == AnswerPart::Kind::kThought) joined.reasoning_content += part.text;
    if (part.kind == AnswerPart::Kind::kText) joined.content += part.text;
    if (part.kind == AnswerPart::Kind::kCallName)
      joined.tool_calls.push_back({.name = part.text, .arguments = {}});
    if (part.kind == AnswerPart::Kind::kCallArguments)
      joined.tool_calls.at(part.call).arguments += part.text;
  }
  promise(joined.content == reader.message().content);
  promise(joined.reasoning_content == reader.message().reasoning_content);
  promise(joined.tool_calls.size() == reader.message().tool_calls.size());
  for (size_t i = 0; i < joined.tool_calls.size(); ++i)
    promise(joined.tool_calls[i].arguments == reader.message().tool_calls[i].arguments);
  reader.message().as_turn(false).dump();
}

std::vector<Seed> seeds() {
  return {
      {"hermes",
       "\x04me</think>\n\nHi\n<tool_call>\n{\"name\": \"a\", \"arguments\": {\"k\": "
       "\"}\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"b\", \"arguments\": {}}\n</tool_call>"},
      {"mistral",
       "\x01[TOOL_CALLS][{\"name\": \"a\", \"arguments\": {\"k\": 1}, \"id\": \"abcdefghi\"}, "
       "{\"name\": \"b\", \"arguments\": {}, \"id\": \"123456789\"}]"},
      {"llama", "\x0a{\"name\": \"a\", \"parameters\": {}}\n\nx"},
      {"deepseek",
       "\x03<think>x</think><|calls|><|call|>function<|sep|>a\n```json\n{\"k\": [1]}\n```<|/call|>\n"
       "<|call|>function<|sep|>b\n```json\n{}\n```<|/call|><|/calls|>"},
  };
}

}  // namespace lathe::fuzz
