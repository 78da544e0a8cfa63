// Answers are taken apart as they come: thoughts, text, calls, in any pieces.
#include "lathe/chat/answer_reader.h"

#include <gtest/gtest.h>

#include "chat/tool_testing.h"
#include "constraint/matching.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace testing;

const ThinkingTags& tags() {
  static const auto found = thinking_tags(tool_template(kHermes), tool_tokenizer());
  return *found;
}

struct Read {
  ChatMessage message;
  std::string parts;  // "[T thought][C name][A arguments]text"
  bool stopped = false;
};

Read read(std::string_view text, const std::string& calls = kHermes, bool opened = false,
          const std::vector<std::string>& stop = {}) {
  const ToolCallSyntax syntax =
      tool_call_syntax(tool_template(calls), tool_tokenizer(), tool_ends());
  AnswerReader reader(tool_tokenizer(),
                      {.calls = &syntax, .thinking = &tags(), .opened = opened, .stop = stop});
  std::vector<AnswerPart> parts;
  Read out;
  for (const int32_t token : tool_tokenizer().encode(text)) {
    out.stopped = !reader.push(token, parts);
    if (out.stopped) break;
  }
  reader.finish(parts);
  ChatMessage joined;
  std::optional<AnswerPart::Kind> before;
  for (const AnswerPart& part : parts) {
    constexpr const char* kNames[] = {"[T ", "[X ", "[C ", "[A "};
    if (before != part.kind)
      out.parts += (before ? "]" : "") + std::string(kNames[static_cast<size_t>(part.kind)]);
    before = part.kind;
    out.parts += part.text;
  }
  if (before) out.parts += "]";
  out.message = reader.message();
  return out;
}

constexpr std::string_view kCall =
    "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"town\": \"}{\\\"é\", \"x\": "
    "[{}]}}\n</tool_call>";

TEST(ThinkingTags, AreFoundFromTheTemplateOrTheVocabulary) {
  EXPECT_EQ(tags().open, id_of("<think>"));
  EXPECT_EQ(tags().close, id_of("</think>"));
  EXPECT_EQ(tool_tokenizer().decode(tags().ending), "\n</think>\n\n");
  const auto of = [](std::string_view text) {
    return thinking_tags(ChatTemplate(text, "t", Json::object()), tool_tokenizer());
  };
  const auto dropped = of("{{ messages[-1].content.split('<think>') }}");
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->ending, std::vector<int32_t>{id_of("</think>")});
  EXPECT_FALSE(of("{{ messages[-1].content }}"));
  EXPECT_FALSE(of("{{ raise_exception('no') }}"));
}

// <|channel|>analysis<|message|> … <|end|>, as gpt-oss thinks, and a line break before the tag.
TEST(ThinkingTags, AreOneTokenEach) {
  const auto of = [](const std::string& opening, const std::string& prompt) {
    return thinking_tags(
        ChatTemplate("{%- for m in messages %}<role>{{ m.role }}:{% if m.reasoning_content %}" +
                         opening +
                         "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<end>"
                         "{% endfor %}{% if add_generation_prompt %}<role>assistant:" +
                         prompt + "{% endif %}",
                     "t", Json::object()),
        tool_tokenizer());
  };
  EXPECT_FALSE(of("<|call|>analysis<|sep|>", ""));
  EXPECT_FALSE(of(" of itself<think>", ""));
  ASSERT_TRUE(of("<|call|>analysis<|sep|>", "<|call|>analysis<|sep|>"));
  EXPECT_EQ(of("<|call|>analysis<|sep|>", "<|call|>analysis<|sep|>")->open, id_of("<|sep|>"));
  EXPECT_TRUE(of("<think>\n", "")->at_once);
  EXPECT_TRUE(of("<think>\n", "<think>")->at_once);
  EXPECT_FALSE(of("{{ '\n' }}<think>", "")->at_once);
}

TEST(ThinkingTags, SeeWhetherThePromptOpensAThought) {
  const auto opened = [](std::string_view prompt) {
    return tags().in(tool_tokenizer().encode(prompt), 5).opened;
  };
  EXPECT_TRUE(opened("<think>a</think><role><think>\n"));
  EXPECT_FALSE(opened("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(opened("hello"));
}

TEST(AnswerReader, TakesAnAnswerApart) {
  Read r = read("Just text, with <, { and é.  ");
  EXPECT_EQ(r.parts, "[X Just text, with <, { and é.  ]");
  r = read("<think>\nLet me see\n\n</think>\n\nHello\n" + std::string(kCall) + "\n" +
           "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call><end>");
  EXPECT_EQ(r.parts,
            "[T Let me see][X Hello][C get_weather][A {\"town\": \"}{\\\"é\", \"x\": [{}]}]"
            "[C now][A {}]");
  EXPECT_EQ(r.message.reasoning_content, "Let me see");
  EXPECT_EQ(r.message.content, "Hello");
  ASSERT_EQ(r.message.tool_calls.size(), 2u);
  EXPECT_EQ(r.message.tool_calls[1].name, "now");
  EXPECT_EQ(r.message.as_turn(false)["tool_calls"][1]["function"]["arguments"], Json::object());
  EXPECT_EQ(r.message.as_turn(true)["tool_calls"][1]["function"]["arguments"], "{}");
  EXPECT_EQ(read("I think</think> so", kHermes, true).parts, "[T I think][X so]");
  EXPECT_EQ(read("cut in a thou", kHermes, true).parts, "[T cut in a thou]");
}

TEST(AnswerReader, KnowsCallsOfEveryShape) {
  const Read mistral = read(
      "Well.\n[TOOL_CALLS][{\"name\": \"a\", \"arguments\": {\"k\": 1}, \"id\": \"abcdefghi\"}, "
      "{\"name\": \"b\", \"arguments\": {}, \"id\": \"123456789\"}]",
      kMistral);
  EXPECT_EQ(mistral.parts, "[X Well.][C a][A {\"k\": 1}][C b][A {}]");
  EXPECT_EQ(mistral.message.tool_calls[0].id, "abcdefghi");
  EXPECT_EQ(mistral.message.tool_calls[1].id, "123456789");
  EXPECT_EQ(read("{\"name\": \"a\", \"parameters\": {}}", kLlama).parts, "[C a][A {}]");
  EXPECT_EQ(read("\n {\"name\": \"a\", \"parameters\": {}}", kLlama).parts, "[C a][A {}]");
  EXPECT_EQ(read("So {\"name\": \"a\", \"parameters\": {}}", kLlama).parts,
            "[X So {\"name\": \"a\", \"parameters\": {}}]");
  EXPECT_EQ(read("<|calls|><|call|>function<|sep|>a\n```json\n{\"k\": 1}\n```<|/call|>\n<|call|>"
                 "function<|sep|>b\n```json\n{}\n```<|/call|><|/calls|>",
                 kDeepseek)
                .parts,
            "[C a][A {\"k\": 1}][C b][A {}]");
}

TEST(AnswerReader, WhatOnlyBeginsLikeACallIsText) {
  EXPECT_EQ(read("<tool_call> is a mark").message.content, " is a mark");
  EXPECT_EQ(read("[TOOL_CALLS][{\"name\" and", kMistral).message.content,
            "[TOOL_CALLS][{\"name\" and");
  EXPECT_EQ(read("{\"name\": \"Ada\", \"age\": 3}", kLlama).message.content,
            "{\"name\": \"Ada\", \"age\": 3}");
  // Cut within a call: what there is of it.
  const Read cut = read(kCall.substr(0, 60));
  ASSERT_EQ(cut.message.tool_calls.size(), 1u);
  EXPECT_EQ(cut.message.tool_calls[0].arguments, "{\"town\": \"}");
  EXPECT_EQ(read(kCall.substr(0, 30)).parts, "");
  EXPECT_EQ(read("{\"name\": \"a", kLlama).message.content, "{\"name\": \"a");
  EXPECT_EQ(read(kCall.substr(0, kCall.size() - 12)).parts, read(kCall).parts);
}

// A stop string is compared with what is shown: bytes that are not UTF-8 are U+FFFD.
TEST(AnswerReader, StopsAtWhatIsShown) {
  const Read r = read(
      "one \xFF"
      "\xFF two",
      kHermes, false, {"\xEF\xBF\xBD two"});
  EXPECT_TRUE(r.stopped);
  EXPECT_EQ(r.message.content, "one \xEF\xBF\xBD");
}

TEST(AnswerReader, EndsAtAStopString) {
  const Read r = read("one\n\ntwo", kHermes, false, {"\n\n"});
  EXPECT_TRUE(r.stopped);
  EXPECT_EQ(r.message.content, "one");
  EXPECT_EQ(read("one\n\ntwo</think>a\n\nb", kHermes, true, {"\n\n"}).message.reasoning_content,
            "one\n\ntwo");
}

// Nobody can answer it, and a template would write it wrongly.
TEST(AnswerReader, ACallThatWasCutIsNoPartOfTheTurn) {
  const std::string text = std::string(kCall) + "\n" + std::string(kCall.substr(0, 60));
  const Read r = read(text);
  ASSERT_EQ(r.message.tool_calls.size(), 2u);
  for (const bool as_text : {false, true})
    EXPECT_EQ(r.message.as_turn(as_text)["tool_calls"].size(), 1u);
  EXPECT_FALSE(read(kCall.substr(0, 60)).message.as_turn(false).contains("tool_calls"));
}

}  // namespace
}  // namespace lathe
