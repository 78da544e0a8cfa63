// The terminal chat: its commands on a conversation, and whole answers of a tiny model.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "lathe/cli/commands/model/chat_loop.h"
#include "lathe/io/json_file.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/load_model.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Runs lines through a loop whose answers are the question with a mark behind it.
std::string talk(const std::string& lines, Conversation& conversation) {
  std::istringstream in(lines);
  std::ostringstream out;
  ChatLoop loop{.in = in,
                .out = out,
                .prompts = false,
                .answer =
                    [&](const Conversation& said) {
                      const auto last = said.messages().back()["content"].get<std::string>();
                      require(last != "bad", ErrorKind::kData, "model", "cannot answer this");
                      out << last << "!";
                      return ChatAnswer{.message = {},
                                        .turn = {{"role", "assistant"}, {"content", last + "!"}}};
                    },
                .describe = [](const ChatAnswer&) { return std::string("[line]"); }};
  loop.run(conversation);
  return out.str();
}

ChatWish go_on(bool) { return ChatWish::kGoOn; }

Json messages(std::vector<std::pair<std::string, std::string>> turns) {
  Json out = Json::array();
  for (const auto& [role, content] : turns)
    out.push_back(Json{{"role", role}, {"content", content}});
  return out;
}

TEST(ChatLoop, KeepsTheConversation) {
  Conversation c;
  EXPECT_EQ(talk("one\n\ntwo\n/quit\nthree\n", c), "one!\n[line]\ntwo!\n[line]\n");
  EXPECT_EQ(
      c.messages(),
      messages({{"user", "one"}, {"assistant", "one!"}, {"user", "two"}, {"assistant", "two!"}}));
  talk("/undo\n", c);
  EXPECT_EQ(c.messages(), messages({{"user", "one"}, {"assistant", "one!"}}));
  talk("/system Be brief.\n/retry\n", c);
  EXPECT_EQ(c.messages(),
            messages({{"system", "Be brief."}, {"user", "one"}, {"assistant", "one!"}}));
  talk("/system\n/undo\n", c);
  EXPECT_TRUE(c.messages().empty());
  EXPECT_NE(talk("/undo\n/retry\n", c).find("no question"), std::string::npos);
}

TEST(ChatLoop, AnErrorLeavesTheConversationAsItWas) {
  Conversation c;
  const std::string out = talk("one\nbad\n/nonsense\ntwo\n", c);
  EXPECT_NE(out.find("cannot answer this"), std::string::npos);
  EXPECT_NE(out.find("/help lists them"), std::string::npos);
  EXPECT_EQ(
      c.messages(),
      messages({{"user", "one"}, {"assistant", "one!"}, {"user", "two"}, {"assistant", "two!"}}));
}

TEST(ChatLoop, GivesToolsResultsBack) {
  Conversation c;
  c.add_user("x");
  EXPECT_FALSE(c.add_tool_result("none was called"));
  ChatMessage called;
  called.tool_calls = {{"first", "{}"}, {"second", "{\"a\": 1}"}};
  c.add_answer(called.as_turn(false));
  EXPECT_EQ(talk("/tool one\n", c), "the next call waits for its tool\n");
  EXPECT_EQ(talk("/tool two\n/tool three\n", c), "two!\n[line]\nno call waits for a tool\n");
  EXPECT_EQ(c.messages()[3]["name"], "second");
  EXPECT_EQ(c.messages()[3]["tool_call_id"], c.messages()[1]["tool_calls"][1]["id"]);
  EXPECT_TRUE(c.undo());
  EXPECT_TRUE(c.messages().empty());
}

TEST(ChatLoop, SavesAndHelps) {
  const TempFolder folder;
  Conversation c;
  const std::string path = (folder / "talk.json").string();
  const std::string out = talk("one\n/save " + path + "\n/save\n/help\n", c);
  EXPECT_EQ(read_json_file(path)["messages"], c.messages());
  EXPECT_NE(out.find("needs the path"), std::string::npos);
  for (const char* command : {"/system", "/undo", "/retry", "/tool", "/save", "/help", "/quit"})
    EXPECT_NE(out.find(command), std::string::npos) << command;
}

TEST(ChatSession, AnswersTheSameAgainAndStops) {
  const TempFolder folder;
  const fs::path model = folder / "model";
  fs::copy(testing::tests_folder() / "model" / "goldens" / "gpt2" / "model", model);
  folder.write("model/tokenizer.json", R"({"pre_tokenizer": null, "decoder": {"type": "Fuse"},
"model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2, "u": 3, "s": 4, "e": 5,
"r": 6, ":": 7, ".": 8}}, "added_tokens": []})");
  const auto weights = load_model(model, {});
  const Tokenizer tokenizer = load_tokenizer(model.string());
  const ChatTemplate chat_template(
      "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}.{% endfor %}a:", "t", Json::object());
  GenerationConfig config;
  config.temperature = 0;
  config.ignore_eos = true;
  config.max_new_tokens = 4;
  ChatSession session(*weights, tokenizer, chat_template, config, {});
  Conversation c;
  c.add_user("abc");
  std::string streamed;
  const auto answer = [&] {
    return session.answer(
        c, [&](const AnswerPart& part) { streamed += part.text; }, go_on);
  };
  const ChatAnswer first = answer();
  EXPECT_EQ(first.new_tokens, 4);
  EXPECT_EQ(first.reason, FinishReason::kLength);
  EXPECT_EQ(first.cached_tokens, 0);
  EXPECT_EQ(streamed, first.message.content);
  const ChatAnswer again = answer();
  EXPECT_EQ(again.message.content, first.message.content);
  const ChatAnswer stopped = session.answer(c, {}, [](bool) { return ChatWish::kStop; });
  EXPECT_EQ(stopped.new_tokens, 1);
  EXPECT_EQ(stopped.reason, FinishReason::kStopped);
  for (int i = 0; i < 4; ++i) c.add_user("abc");
  EXPECT_THROW(answer(), Error);  // longer than the model's positions
}

// A conversation has its adapters, as the model has into which they were merged.
TEST(ChatSession, AnswersWithAdapters) {
  const fs::path goldens = testing::tests_folder() / "model" / "goldens";
  const TempFolder folder;
  Json vocabulary = Json::object();
  for (int id = 0; id < 29; ++id) vocabulary[std::string(1, static_cast<char>('A' + id))] = id;
  write_json_file(folder / "tokenizer.json",
                  {{"pre_tokenizer", nullptr},
                   {"decoder", {{"type", "Fuse"}}},
                   {"model", {{"type", "BPE"}, {"merges", Json::array()}, {"vocab", vocabulary}}},
                   {"added_tokens", Json::array()}});
  const Tokenizer tokenizer = load_tokenizer((folder / "tokenizer.json").string());
  const ChatTemplate chat_template("{{ messages[0].content }}", "t", Json::object());
  GenerationConfig config;
  config.temperature = 0;
  config.ignore_eos = true;
  config.max_new_tokens = 6;
  Conversation c;
  c.add_user("ABCAB");
  const auto answer = [&](const Transformer& model, const Adaptation& adaptation) {
    ChatSession session(model, tokenizer, chat_template, config, {}, adaptation);
    return session.answer(c, {}, go_on).message.content;
  };
  auto model = load_model(goldens / "gpt2" / "model", {});
  const Adaptation adaptation{.loras = {load_lora(goldens / "adapters" / "gpt2", *model)}};
  const std::string plain = answer(*model, {}), adapted = answer(*model, adaptation);
  EXPECT_NE(plain, adapted);
  const std::vector<std::shared_ptr<const Adapter>> all = {
      load_adapter(goldens / "adapters" / "gpt2", *model)};
  model = merge_adapters(std::move(model), all);
  EXPECT_EQ(answer(*model, {}), adapted);
}

TEST(ChatCommand, AModelWithoutATemplateIsRefused) {
  const TempFolder folder;
  fs::copy(testing::tests_folder() / "model" / "goldens" / "gpt2" / "model", folder / "model");
  folder.write(
      "model/tokenizer.json",
      R"({"model": {"type": "BPE", "merges": [], "vocab": {"a": 0}}, "added_tokens": []})");
  const CommandResult r = run_lathe({"chat", (folder / "model").string()});
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.err.find("has no chat template; give --chat-template FILE"), std::string::npos)
      << r.err;
}

}  // namespace
}  // namespace lathe
