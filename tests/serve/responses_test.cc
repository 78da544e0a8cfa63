// /v1/responses: the same answers as the chat's, as items, which are kept and gone on from.
#include <gtest/gtest.h>

#include "lathe/serve/api/responses_form.h"
#include "lathe/serve/response_store.h"
#include "serve/served_api.h"

namespace lathe {
namespace {

using testing::events_of;
using testing::Json;

class Responses : public testing::ServedApi {
 protected:
  static Json body(Json more) {
    Json all = {{"model", "letters"},
                {"input", "ab"},
                {"max_output_tokens", 2},
                {"temperature", 0},
                {"ignore_eos", true}};
    all.update(more);
    return all;
  }
  Json response(Json more = Json::object()) {
    const HttpResponse r = ask("POST", "/v1/responses", body(std::move(more)));
    EXPECT_EQ(r.status, 200) << r.body;
    return Json::parse(r.body);
  }
  static std::string text_of(const Json& response) {
    return response["output"][0]["content"][0]["text"];
  }
  std::string chat_text(const Json& messages) {
    return asked({{"messages", messages},
                  {"max_tokens", 2},
                  {"temperature", 0},
                  {"ignore_eos", true}})["choices"][0]["message"]["content"];
  }
};

TEST_F(Responses, AreTheAnswersOfTheChat) {
  const Json r = response({{"instructions", "be"}});
  EXPECT_EQ(text_of(r), chat_text({{{"role", "system"}, {"content", "be"}},
                                   {{"role", "user"}, {"content", "ab"}}}));
  EXPECT_EQ(r["status"], "incomplete");
  EXPECT_EQ(r["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(r["usage"]["output_tokens"], 2);
}

TEST_F(Responses, GoOnFromWhatIsKept) {
  const Json first = response();
  const std::string id = first["id"];
  const std::string said = text_of(first);
  const Json second = response({{"input", "more"}, {"previous_response_id", id}});
  const Json turns = {{{"role", "user"}, {"content", "ab"}},
                      {{"role", "assistant"}, {"content", said}},
                      {{"role", "user"}, {"content", "more"}}};
  EXPECT_EQ(text_of(second), chat_text(turns));
  EXPECT_EQ(Json::parse(ask("GET", "/v1/responses/" + id).body), first);
  EXPECT_EQ(ask("DELETE", "/v1/responses/" + id).status, 200);
  EXPECT_EQ(ask("GET", "/v1/responses/" + id).status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/responses/" + id).status, 404);
  EXPECT_EQ(ask("POST", "/v1/responses", body({{"previous_response_id", id}})).status, 404);
  // What went on from it stays whole.
  const Json third =
      response({{"input", "go"}, {"previous_response_id", second["id"]}, {"store", false}});
  EXPECT_GT(third["usage"]["input_tokens"], second["usage"]["input_tokens"]);
  EXPECT_EQ(ask("GET", "/v1/responses/" + third["id"].get<std::string>()).status, 404);
}

TEST_F(Responses, AStreamIsTheWholeInPieces) {
  const Json whole = response();
  const auto events = events_of(ask("POST", "/v1/responses", body({{"stream", true}})).body);
  std::string text, types;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    const std::string type = events[i]["type"];
    if (type == "response.output_text.delta")
      text += events[i]["delta"].get<std::string>();
    else
      types += type.substr(9) + " ";
  }
  EXPECT_EQ(text, text_of(whole));
  EXPECT_EQ(types,
            "created in_progress output_item.added content_part.added output_text.done "
            "content_part.done output_item.done incomplete ");
  EXPECT_EQ(text_of(events.back()["response"]), text);
}

TEST_F(Responses, ItemsBecomeAConversation) {
  const Json input = {
      {{"role", "developer"}, {"content", "be"}},
      {{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "q"}}}}},
      {{"type", "reasoning"}, {"content", {{{"type", "reasoning_text"}, {"text", "hm"}}}}},
      {{"type", "function_call"}, {"call_id", "c"}, {"name", "f"}, {"arguments", "{\"x\": 1}"}},
      {{"type", "function_call_output"}, {"call_id", "c"}, {"output", "3"}}};
  RequestFields fields(Json{{"input", input}}.dump());
  const Json turns = input_messages(fields);
  ASSERT_EQ(turns.size(), 4u);
  EXPECT_EQ(turns[1], (Json{{"role", "user"}, {"content", "q"}}));
  EXPECT_EQ(turns[2]["reasoning_content"], "hm");
  EXPECT_EQ(turns[2]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(turns[3], (Json{{"role", "tool"}, {"tool_call_id", "c"}, {"content", "3"}}));
}

TEST_F(Responses, ErrorsNameTheKey) {
  for (const auto& [more, key] : std::vector<std::pair<Json, std::string>>{
           {{{"input", nullptr}}, "input"},
           {{{"input", Json::array()}}, "input"},
           {{{"input", {5}}}, "input[0]"},
           {{{"input", {{{"type", "item_reference"}, {"id", "x"}}}}}, "input[0]"},
           {{{"max_output_tokens", 0}}, "max_output_tokens"},
           {{{"store", "yes"}}, "store"},
           {{{"truncation", "auto"}}, "truncation"},
           {{{"background", true}}, "background"},
           {{{"tools", {{{"type", "web_search"}}}}}, "tools"},
           {{{"text", {{"format", {{"type", "xml"}}}}}}, "text"},
           {{{"instructions", 3}}, "instructions"},
           {{{"metadata", 3}}, "metadata"}}) {
    const HttpResponse r = ask("POST", "/v1/responses", body(more));
    EXPECT_EQ(r.status, 400) << more.dump();
    EXPECT_EQ(Json::parse(r.body)["error"]["param"], key) << r.body;
  }
}

StoredResponse stored(const std::string& owner, size_t bytes = 10) {
  return {.owner = owner,
          .body = std::string(bytes, 'a'),
          .turns = std::make_shared<const StoredTurns>()};
}

TEST(ResponseStore, ForgetsTheOldest) {
  ResponseStore store(2, 1000);
  for (const char* id : {"a", "b", "c"}) store.keep(id, stored(""));
  EXPECT_FALSE(store.find("a", ""));
  EXPECT_TRUE(store.find("b", "") && store.find("c", ""));
  store.keep("large", stored("", 950));
  EXPECT_TRUE(store.find("large", ""));
  EXPECT_FALSE(store.find("b", ""));
  store.keep("too large", stored("", 2000));
  EXPECT_FALSE(store.find("too large", ""));
  EXPECT_TRUE(store.find("large", ""));
  ResponseStore none(0);
  none.keep("a", stored(""));
  EXPECT_FALSE(none.find("a", ""));
}

TEST(ResponseStore, ShowsNobodyWhatIsAnothers) {
  ResponseStore store(5);
  store.keep("a", stored("key 0"));
  EXPECT_FALSE(store.find("a", "key 1"));
  EXPECT_FALSE(store.forget("a", "key 1"));
  EXPECT_TRUE(store.find("a", "key 0"));
  EXPECT_TRUE(store.forget("a", "key 0"));
}

}  // namespace
}  // namespace lathe
