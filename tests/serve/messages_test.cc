// /v1/messages: the same answers as the chat's, in Anthropic's form.
#include <gtest/gtest.h>

#include "lathe/serve/api/messages_form.h"
#include "serve/served_api.h"

namespace lathe {
namespace {

using testing::events_of;
using testing::Json;

class Messages : public testing::ServedApi {
 protected:
  static Json body(Json more) {
    Json all = {{"model", "letters"},
                {"messages", {{{"role", "user"}, {"content", "abc de"}}}},
                {"max_tokens", 10},
                {"seed", 5},
                {"ignore_eos", true}};
    all.update(more);
    return all;
  }
  Json message(Json more) {
    const HttpResponse r = ask("POST", "/v1/messages", body(std::move(more)));
    EXPECT_EQ(r.status, 200) << r.body;
    return Json::parse(r.body);
  }
  std::pair<int, std::string> refused(Json more) {
    const HttpResponse r = ask("POST", "/v1/messages", body(std::move(more)));
    const Json error = Json::parse(r.body);
    EXPECT_EQ(error["type"], "error");
    return {r.status, error["error"]["message"].get<std::string>()};
  }
  // The conversation that its chat template is given.
  Json conversation(const Json& more) {
    RequestFields fields(body(more).dump());
    return read_messages(fields, *models_.find("letters")).messages;
  }
};

TEST_F(Messages, AreTheAnswersOfTheChat) {
  const Json chat = asked({{"max_tokens", 10}, {"seed", 5}, {"ignore_eos", true}});
  const Json whole = message(Json::object());
  EXPECT_EQ(whole["content"].size(), 1u);
  EXPECT_EQ(whole["content"][0]["text"], chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_EQ(whole["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(whole["usage"]["output_tokens"], 10);
  const HttpResponse counted = ask("POST", "/v1/messages/count_tokens", body(Json::object()));
  EXPECT_EQ(Json::parse(counted.body)["input_tokens"], chat["usage"]["prompt_tokens"]);

  const auto events = events_of(ask("POST", "/v1/messages", body({{"stream", true}})).body);
  std::string text, types;
  for (const Json& event : events) {
    if (event["type"] != "content_block_delta") types += event["type"].get<std::string>() + " ";
    if (event["type"] == "content_block_delta") text += event["delta"]["text"].get<std::string>();
  }
  EXPECT_EQ(text, whole["content"][0]["text"]);
  EXPECT_EQ(types,
            "message_start content_block_start content_block_stop message_delta message_stop ");
}

TEST_F(Messages, SayWhichSequenceStoppedThem) {
  const std::string text = message({{"max_tokens", 40}})["content"][0]["text"];
  ASSERT_GT(text.size(), 12u);
  const std::string stop = text.substr(5, 2);
  const Json stopped = message({{"max_tokens", 40}, {"stop_sequences", {"never this", stop}}});
  EXPECT_EQ(stopped["content"][0]["text"], text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], stop);
}

TEST_F(Messages, TheLastOfTheAssistantGoesOn) {
  const std::string text = message({{"temperature", 0}})["content"][0]["text"];
  const Json rest = message({{"messages",
                              {{{"role", "user"}, {"content", "abc de"}},
                               {{"role", "assistant"}, {"content", text.substr(0, 4)}}}},
                             {"max_tokens", 6},
                             {"temperature", 0}});
  EXPECT_EQ(text.substr(0, 4) + rest["content"][0]["text"].get<std::string>(), text);
}

TEST_F(Messages, BlocksBecomeAConversation) {
  const Json input = {{"x", 1}};
  const Json asked_with = {
      {"system", {{{"type", "text"}, {"text", "be "}}, {{"type", "text"}, {"text", "brief"}}}},
      {"messages",
       {{{"role", "user"}, {"content", "q"}},
        {{"role", "assistant"},
         {"content",
          {{{"type", "thinking"}, {"thinking", "hm"}, {"signature", "s"}},
           {{"type", "text"}, {"text", "let me see"}},
           {{"type", "tool_use"}, {"id", "c1"}, {"name", "f"}, {"input", input}}}}},
        {{"role", "user"},
         {"content",
          {{{"type", "tool_result"}, {"tool_use_id", "c1"}, {"content", "no"}, {"is_error", true}},
           {{"type", "text"}, {"text", "and"}}}}}}}};
  const Json turns = conversation(asked_with);
  ASSERT_EQ(turns.size(), 5u);
  EXPECT_EQ(turns[0], (Json{{"role", "system"}, {"content", "be brief"}}));
  EXPECT_EQ(turns[2]["content"], "let me see");
  EXPECT_EQ(turns[2]["reasoning_content"], "hm");
  EXPECT_EQ(turns[2]["tool_calls"][0]["function"], (Json{{"name", "f"}, {"arguments", input}}));
  EXPECT_EQ(turns[3], (Json{{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "Error: no"}}));
  EXPECT_EQ(turns[4], (Json{{"role", "user"}, {"content", "and"}}));
}

TEST_F(Messages, ErrorsSayWhere) {
  const auto with_block = [](Json block) {
    return Json{{"messages", {{{"role", "user"}, {"content", Json::array({std::move(block)})}}}}};
  };
  for (const auto& [more, said] : std::vector<std::pair<Json, std::string>>{
           {{{"max_tokens", nullptr}}, "is missing"},
           {{{"max_tokens", 0}}, "max_tokens"},
           {{{"messages", Json::array()}}, "one message at least"},
           {{{"messages", {{{"role", "system"}, {"content", "x"}}}}}, "'system'"},
           {with_block({{"type", "image"}, {"source", Json::object()}}), "'image'"},
           {with_block({{"type", "tool_result"}, {"content", "x"}}), "tool_use_id"},
           {with_block(5), "expected an object"},
           {{{"tools", {{{"name", "f"}}}}}, "input_schema"},
           {{{"tools", {{{"type", "bash_20250124"}, {"name", "bash"}}}}}, "bash_20250124"},
           {{{"tool_choice", {{"type", "maybe"}}}}, "maybe"},
           {{{"thinking", {{"type", "enabled"}, {"budget_tokens", 20}}}}, "does not think"},
           {{{"container", "x"}}, "container"},
           {{{"stop_sequences", "x"}}, "list of texts"}}) {
    const auto [status, message] = refused(more);
    EXPECT_EQ(status, 400) << more.dump();
    EXPECT_NE(message.find(said), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace lathe
