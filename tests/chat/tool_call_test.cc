// How calls are written is found from templates of several shapes, and what may be written then.
#include <gtest/gtest.h>

#include "chat/tool_testing.h"
#include "constraint/matching.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/chat/tool_call_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace testing;

ToolCallSyntax syntax_of(const std::string& calls, const std::string& prompt = "") {
  return tool_call_syntax(tool_template(calls, prompt), tool_tokenizer(), tool_ends());
}

// Marks as they look.
std::string shown(const MarkedText& text) {
  std::string out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    if (text.bytes[i] == constraint::kTokenMark) {
      const int32_t id = constraint::token_from_bytes(std::string_view(text.bytes).substr(i));
      out += "«" + tool_tokenizer().token_bytes(id) + "»";
      i += constraint::kTokenBytes - 1;
    } else if (text.bytes[i] == MarkedText::kCallId) {
      out += "#";
    } else {
      out += text.bytes[i];
    }
  }
  return out;
}

TEST(ToolCallSyntax, IsFoundFromTheTemplate) {
  struct Case {
    std::string calls, open, middle, next, close;
    bool text = false;
  };
  for (const Case& c : std::vector<Case>{
           {kHermes, "«<tool_call>»\n{\"name\": \"", "\", \"arguments\": ",
            "}\n«</tool_call>»\n«<tool_call>»\n{\"name\": \"", "}\n«</tool_call>»"},
           {kMistral, "[TOOL_CALLS][{\"name\": \"",
            "\", \"arguments\": ", ", \"id\": \"#\"}, {\"name\": \"", ", \"id\": \"#\"}]"},
           {kLlama, "{\"name\": \"", "\", \"parameters\": ", "", "}"},
           {kDeepseek, "«<|calls|>»«<|call|>»function«<|sep|>»", "\n```json\n",
            "\n```«<|/call|>»\n«<|call|>»function«<|sep|>»", "\n```«<|/call|>»«<|/calls|>»",
            true}}) {
    SCOPED_TRACE(c.calls);
    // A template may put an empty thought before every answer.
    for (const char* prompt : {"", "<think>\n\n</think>\n\n"}) {
      const ToolCallSyntax s = syntax_of(c.calls, prompt);
      EXPECT_EQ(shown(s.open), c.open);
      EXPECT_EQ(shown(s.middle), c.middle);
      EXPECT_EQ(s.next.has_value(), !c.next.empty());
      EXPECT_EQ(s.next ? shown(*s.next) : "", c.next);
      EXPECT_EQ(shown(s.close), c.close);
      EXPECT_EQ(s.arguments_are_text, c.text);
    }
  }
}

TEST(ToolCallSyntax, KnowsWhatACallBeginsWith) {
  const auto trigger = [](const std::string& calls) { return syntax_of(calls).trigger(); };
  EXPECT_EQ(shown(trigger(kHermes).text), "«<tool_call>»");
  EXPECT_EQ(shown(trigger(kHermes).rest), "\n{\"name\": \"");
  EXPECT_EQ(shown(trigger(kMistral).text), "[TOOL_CALLS][{\"name\":");
  EXPECT_FALSE(trigger(kMistral).only_first);
  EXPECT_EQ(shown(trigger(kLlama).text), "{\"name\":");
  EXPECT_TRUE(trigger(kLlama).only_first);
  EXPECT_EQ(shown(trigger(kDeepseek).text), "«<|calls|>»");
}

TEST(ToolCallSyntax, RefusesInWordsWhatItCannotHold) {
  const auto says = [](const std::string& calls, std::string_view part) {
    const std::string message = message_of([&] { syntax_of(calls); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says("", "does not write the names of the tools");
  says(kPerArgument, "does not write the arguments of a call as one JSON object");
  says("{{ m.tool_calls[0].function.arguments | tojson }} to {{ m.tool_calls[0].function.name }}",
       "before the tool's name");
  says("{{ raise_exception('no tools here') }}", "no tools here");
  says(
      "<end>{{ m.tool_calls[0].function.name }}: {{ m.tool_calls[0].function.arguments | tojson }}",
      "which ends an answer, within a call");
  says("{{ m.tool_calls[0].function.name }}{{ m.tool_calls[0].function.arguments | tojson }}",
       "cannot be told from text");
}

// "yes", "prefix" or "no", for a text whose marks are tokens.
std::string fits(const ToolCallSyntax& syntax, const ToolChoice& choice, std::string_view text,
                 bool letters = false) {
  const auto v = token_vocabulary(tool_tokenizer(), tool_ends(), syntax.marks());
  const Constraint constraint(*tool_call_grammar(syntax, weather_tools(), choice), v);
  Matcher matcher = constraint.matcher();
  for (const int32_t id : tool_tokenizer().encode(text)) {
    const bool as_letters = letters && v->is_mark(id);
    EXPECT_EQ(matcher.allows(id), has_bit(*matcher.mask(), id));
    if (!(as_letters ? matcher.accept_bytes(tool_tokenizer().token_bytes(id)) : matcher.accept(id)))
      return "no";
  }
  return matcher.can_end() ? "yes" : "prefix";
}

constexpr std::string_view kCall =
    "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"town\": \"Oslo\", \"days\": "
    "3}}\n</tool_call>";
constexpr std::string_view kNow =
    "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

TEST(ToolCallGrammar, RequiredCallsAreAllThatMayBeWritten) {
  const ToolCallSyntax s = syntax_of(kHermes);
  const ToolChoice required = tool_choice_of("required");
  EXPECT_EQ(fits(s, required, kCall), "yes");
  EXPECT_EQ(fits(s, required, kNow), "yes");
  EXPECT_EQ(fits(s, required, std::string(kCall) + "\n" + std::string(kNow)), "yes");
  EXPECT_EQ(fits(s, required, std::string(kCall) + std::string(kNow)), "no");
  EXPECT_EQ(fits(s, required, kCall.substr(0, 60)), "prefix");
  EXPECT_EQ(fits(s, required, kCall, /*letters=*/true), "no");
  EXPECT_EQ(fits(s, required, "Hello"), "no");
  EXPECT_EQ(fits(s, required, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"days\""),
            "no");
  EXPECT_EQ(fits(s, required,
                 "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"town\": "
                 "\"</tool_call>"),
            "no");
  EXPECT_EQ(
      fits(s, tool_choice_of("required", false), std::string(kCall) + "\n" + std::string(kNow)),
      "no");
}

TEST(ToolCallGrammar, OneToolIsCalledOnce) {
  const ToolCallSyntax s = syntax_of(kHermes);
  const ToolChoice now =
      tool_choice_of(Json::parse(R"({"type": "function", "function": {"name": "now"}})"));
  EXPECT_EQ(fits(s, now, kNow), "yes");
  EXPECT_EQ(fits(s, now, kCall), "no");
  EXPECT_EQ(fits(s, now, std::string(kNow) + "\n" + std::string(kNow)), "no");
}

TEST(ToolCallGrammar, AFreeAnswerMayTurnIntoCalls) {
  const ToolChoice automatic = tool_choice_of("auto");
  const ToolCallSyntax hermes = syntax_of(kHermes);
  EXPECT_EQ(fits(hermes, automatic, ""), "yes");
  EXPECT_EQ(fits(hermes, automatic, "I don't know. {\"name\": 3 é"), "yes");
  EXPECT_EQ(fits(hermes, automatic, "Let me see.\n" + std::string(kCall)), "yes");
  EXPECT_EQ(fits(hermes, automatic, "Let me see.\n" + std::string(kCall) + "and"), "no");
  EXPECT_EQ(fits(hermes, automatic, "Write <tool_call> for a call", /*letters=*/true), "yes");
  EXPECT_EQ(fits(hermes, automatic, "Write <tool_call> for a call"), "no");
  EXPECT_EQ(fits(hermes, automatic, "a</tool_call>"), "no");
  EXPECT_EQ(fits(hermes, automatic, "a<role>"), "no");
  const ToolCallSyntax mistral = syntax_of(kMistral);
  const std::string call =
      "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, \"id\": \"abcDEF789\"}]";
  EXPECT_EQ(fits(mistral, automatic, call), "yes");
  EXPECT_EQ(fits(mistral, automatic, "See [TOOL_CALLS][TOOL_[TOOL" + call), "yes");
  EXPECT_EQ(fits(mistral, automatic, "[TOOL_CALLS][{\"name\" is how it begins"), "yes");
  EXPECT_EQ(fits(mistral, automatic, "[TOOL_CALLS][{\"name\": \"then"), "no");
  const ToolCallSyntax llama = syntax_of(kLlama);
  const std::string now = "{\"name\": \"now\", \"parameters\": {}}";
  EXPECT_EQ(fits(llama, automatic, now), "yes");
  EXPECT_EQ(fits(llama, automatic, "\n\n" + now), "yes");
  EXPECT_EQ(fits(llama, automatic, "\n\n" + now + "."), "no");
  EXPECT_EQ(fits(llama, automatic, "{\"name\": \"Ada\"}"), "no");
  EXPECT_EQ(fits(llama, automatic, "{\"names\": []}"), "yes");
  EXPECT_EQ(fits(llama, automatic, "It is {\"name\": \"Ada\"}."), "yes");
}

TEST(ToolCallGrammar, NothingIsHeldWhereNoToolMayBeCalled) {
  EXPECT_FALSE(tool_call_grammar(syntax_of(kHermes), weather_tools(), tool_choice_of("none")));
}

TEST(ToolCallGrammar, DoesNotHoldFreeAnswersThatHaveMarksOfTheirOwn) {
  const ChatTemplate channels(
      "{% for m in messages %}<role>{{ m.role }}{% if m.tool_calls %} to={{ m.tool_calls[0].function.name"
      " }}<|sep|>{{ m.tool_calls[0].function.arguments | tojson }}{% elif m.role == 'assistant' %}"
      "<|call|>final<|sep|>{{ m.content }}{% else %}<|sep|>{{ m.content }}{% endif %}<end>{% endfor %}"
      "{% if add_generation_prompt %}<role>assistant{% endif %}",
      "t", Json::object());
  const ToolCallSyntax s = tool_call_syntax(channels, tool_tokenizer(), tool_ends());
  EXPECT_EQ(shown(s.open), " to=");
  EXPECT_EQ(fits(s, tool_choice_of("required"), " to=now<|sep|>{}"), "yes");
  const std::string message =
      message_of([&] { tool_call_grammar(s, weather_tools(), tool_choice_of("auto")); });
  EXPECT_NE(message.find("begins plain answers with tokens"), std::string::npos) << message;
  EXPECT_FALSE(syntax_of(kHermes, "<think>\n\n</think>\n\n").marks_plain_answers);
}

TEST(ToolCallGrammar, RefusesToolsInWords) {
  const ToolCallSyntax s = syntax_of(kHermes);
  const auto says = [&](const char* tools, const char* choice, std::string_view part) {
    const std::string message = message_of(
        [&] { tool_call_grammar(s, Json::parse(tools), tool_choice_of(Json::parse(choice))); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const char* any = "\"auto\"";
  says("[]", any, "one tool at least");
  says("[3]", any, "[tools[0]] expected");
  says(R"([{"type": "function", "function": {"name": "a b"}}])", any, "`function.name` is \"a b\"");
  says(R"([{"function": {"name": "a", "parameters": {"type": "array"}}}])", any,
       "`function.parameters.type` is \"array\"");
  says(R"([{"function": {"name": "a"}}, {"function": {"name": "a"}}])", any, "has the name 'a'");
  says(R"([{"function": {"name": "a", "parameters": {"properties": {"x": {"not": {}}}}}}])", any,
       "the parameters of 'a': ");
  says(R"([{"function": {"name": "abc"}}])", R"({"type": "function", "function": {"name": "abd"}})",
       "no tool is called 'abd'");
  says("[]", "\"maybe\"", "[tool_choice] is \"maybe\"");
  says("[]", "{}", "[tool_choice] is {}");
}

}  // namespace
}  // namespace lathe
