// Calls that a random model writes at temperature 1.5 can be read, name a tool and have arguments that are valid by its schema.
#include <gtest/gtest.h>

#include "chat/tool_testing.h"
#include "constraint/bfcl.h"
#include "constraint/schema_validator.h"
#include "infer/random_answers.h"
#include "lathe/chat/answer_reader.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/chat/tool_call_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace testing;

struct Counts {
  size_t refused = 0, ended = 0, calls = 0, texts = 0;
};

struct Asked {
  Json tools;
  ToolChoice choice;
};

const Json& parameters_of(const Json& tools, const std::string& name) {
  for (const Json& tool : tools)
    if (tool["function"]["name"] == name) return tool["function"]["parameters"];
  throw std::out_of_range(name + " is no tool");
}

void check_calls(const ChatMessage& message, const Asked& asked, Counts& counts) {
  const bool must = asked.choice.kind != ToolChoice::Kind::kAuto;
  ASSERT_TRUE(!must || !message.tool_calls.empty());
  ASSERT_TRUE(!must || message.content.empty()) << message.content;
  ++(message.tool_calls.empty() ? counts.texts : counts.ended);
  for (const ToolCall& call : message.tool_calls) {
    ++counts.calls;
    const Json arguments = Json::parse(call.arguments, nullptr, false);
    ASSERT_TRUE(!arguments.is_discarded()) << call.arguments;
    const Json& parameters = parameters_of(asked.tools, call.name);
    ASSERT_TRUE(SchemaValidator(parameters).valid(arguments)) << parameters.dump() << "\n"
                                                              << call.arguments;
  }
}

Counts check(const std::string& calls, const std::vector<Asked>& all, uint64_t seed,
             const std::optional<Thinking>& thinking = {}) {
  const ToolCallSyntax syntax =
      tool_call_syntax(tool_template(calls), tool_tokenizer(), tool_ends());
  const auto tags = thinking_tags(tool_template(calls), tool_tokenizer());
  const auto vocabulary = token_vocabulary(tool_tokenizer(), tool_ends(), syntax.marks());
  Counts counts;
  std::vector<std::shared_ptr<const Constraint>> constraints;
  std::vector<const Asked*> of;
  for (const Asked& asked : all) {
    try {
      constraints.push_back(std::make_shared<Constraint>(
          *tool_call_grammar(syntax, asked.tools, asked.choice), vocabulary));
      of.push_back(&asked);
    } catch (const Error& e) {
      if (counts.refused++ < 5) std::cout << e.what() << "\n";
    }
  }
  const auto answers = random_answers(constraints, seed, 400, thinking);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].end.reason != FinishReason::kStopToken) continue;
    AnswerReader reader(
        tool_tokenizer(),
        {.calls = &syntax, .thinking = &*tags, .opened = thinking && thinking->opened});
    std::vector<AnswerPart> parts;
    for (const int32_t token : answers[i].tokens) reader.push(token, parts);
    reader.finish(parts);
    SCOPED_TRACE(tool_tokenizer().decode(answers[i].tokens));
    check_calls(reader.message(), *of[i], counts);
  }
  return counts;
}

Json with_parameters(Json tools) {
  for (Json& tool : tools)
    if (!tool["function"].contains("parameters"))
      tool["function"]["parameters"] = {{"type", "object"}, {"additionalProperties", false}};
  return tools;
}

TEST(CalledTools, AreWhatTheSchemasSayInEverySyntax) {
  const Json tools = with_parameters(weather_tools());
  for (const std::string& calls : {kHermes, kMistral, kLlama, kDeepseek}) {
    SCOPED_TRACE(calls);
    const std::vector<Asked> all(20, {tools, tool_choice_of("required")});
    EXPECT_GT(check(calls, all, 3).ended, 5u);
    const std::vector<Asked> named(10, {tools, {.kind = ToolChoice::Kind::kNamed, .name = "now"}});
    const Counts counts = check(calls, named, 4);
    EXPECT_EQ(counts.ended, 10u);
    EXPECT_EQ(counts.calls, 10u);
    EXPECT_GT(check(calls, std::vector<Asked>(10, {tools, tool_choice_of("auto")}), 5).texts, 5u);
  }
}

// Messages with calls, as the template writes them, are cut into the tokens of a tokenizer with larger
// pieces, and into smaller ones: no mask forbids one of them.
TEST(CalledTools, OfTheTemplateAreAllowedHoweverTheyAreCut) {
  std::string text;
  for (int i = 0; i < 50; ++i)
    text += R"([{"name": "get_weather", "arguments": {"town": "Oslo", "days": 3}}, "\n", {}]})";
  const Tokenizer tokenizer = tool_tokenizer_of(text, 80);
  const auto end = *tokenizer.id_of("<end>");
  const std::vector<std::string> towns = {"Oslo", "\"}]\\", "", "K\xC3\xB6ln\n",
                                          "\xF0\x9F\x99\x82</tool"};
  for (const std::string& calls : {kHermes, kMistral, kLlama, kDeepseek}) {
    const ChatTemplate chat_template = tool_template(calls);
    const ToolCallSyntax syntax = tool_call_syntax(chat_template, tokenizer, std::vector{end});
    const Constraint constraint(*tool_call_grammar(syntax, weather_tools(), tool_choice_of("auto")),
                                token_vocabulary(tokenizer, {end}, syntax.marks()));
    for (size_t i = 0; i < 4 * towns.size(); ++i) {
      ChatMessage message;
      const Json arguments = {{"town", towns[i % towns.size()]}, {"days", 1 + i % 9}};
      message.tool_calls = {{"get_weather", arguments.dump(), "abcdefgh1"}};
      if (syntax.next && i % 2 == 1) message.tool_calls.push_back({"now", "{}", "abcdefgh2"});
      const Json turns = Json::array(
          {{{"role", "user"}, {"content", "x"}}, message.as_turn(syntax.arguments_are_text)});
      std::string answer = chat_template.text({{"messages", turns}});
      answer = answer.substr(answer.rfind("<role>assistant:") + 16);
      answer.resize(answer.rfind("<end>"));
      const std::vector<double> dropouts = {0, 0.3, 1};
      const auto ids = tokenizer.encode_with_dropout(answer, dropouts[i % dropouts.size()], Rng(i));
      SCOPED_TRACE(answer);
      Matcher matcher = constraint.matcher();
      for (const int32_t id : ids) {
        ASSERT_TRUE(has_bit(*matcher.mask(), id)) << tokenizer.token_bytes(id);
        ASSERT_TRUE(matcher.accept(id));
      }
      EXPECT_TRUE(matcher.can_end());
    }
  }
}

TEST(CalledTools, ComeBehindTheThought) {
  const auto tags = thinking_tags(tool_template(kHermes), tool_tokenizer());
  const std::vector<Asked> all(12, {with_parameters(weather_tools()), tool_choice_of("required")});
  for (const bool opened : {true, false}) {
    Thinking thinking = tags->in({}, 9);
    thinking.opened = opened;
    EXPECT_GT(check(kHermes, all, 6, thinking).ended, 3u);
  }
}

TEST(CalledTools, OfTheLeaderboardAreWhatTheirSchemasSay) {
  if (!std::filesystem::exists(bfcl_folder())) GTEST_SKIP() << bfcl_folder() << " is not there";
  std::vector<Asked> all;
  const std::set<std::string> functions = bfcl_functions();
  const size_t step = std::max<size_t>(1, functions.size() / tries(1000));
  size_t i = 0;
  for (const std::string& function : functions)
    if (i++ % step == 0)
      all.push_back({Json::array({{{"type", "function"}, {"function", Json::parse(function)}}}),
                     tool_choice_of("required", false)});
  const Counts counts = check(kHermes, all, 7);
  std::cout << all.size() << " functions, " << counts.ended << " calls ended, " << counts.refused
            << " refused\n";
  EXPECT_LT(counts.refused * 20, all.size());
  EXPECT_GT(counts.ended * 10, all.size() * 5);
}

}  // namespace
}  // namespace lathe
