// A server of this process that fails, asks to wait and says nonsense.
#include "lathe/eval/ask/server_source.h"

#include <gtest/gtest.h>

#include "eval/openai_server.h"
#include "io/temp_folder.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

class Servers : public ::testing::Test {
 protected:
  Servers() {
    std::string rows;
    for (int i = 0; i < 6; ++i)
      rows += Json{{"q", "say " + std::to_string(i)}, {"a", "x"}}.dump() + "\n";
    folder_.write("rows.jsonl", rows);
  }
  EvalTask task(const std::string& more = "") {
    folder_.write(
        "task.toml",
        "name = \"t\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\nprompt = \"{{q}}\"\ntarget = "
        "\"{{a}}\"\nmetrics = [\"exact_match\"]\nmax_tokens = 9\n" +
            more);
    return {read_task_config(folder_ / "task.toml"), 0, Rng(0)};
  }
  // The first answer of each item that came, by its place; what was thrown is in error_.
  std::map<size_t, std::string> ask(ServerSetting setting, const EvalTask& of) {
    std::vector<EvalItem> items;
    for (int64_t id = 0; id < of.size(); ++id) items.push_back(of.item(id));
    std::map<size_t, std::string> answers;
    error_ = error_text([&] {
      ServerSource(std::move(setting)).ask(of.config(), items, [&](std::span<NumberedAnswer> some) {
        for (const NumberedAnswer& each : some) answers[each.item] = each.answer.responses.at(0);
      });
    });
    return answers;
  }

  TempFolder folder_;
  std::string error_;
};

TEST_F(Servers, AreAskedAsOpenAIs) {
  Server server([](size_t, const Json& request) {
    return Server::Reply{
        .body = completion({"to " + request["messages"][0]["content"].get<std::string>()})};
  });
  const auto answers = ask({.url = server.url(), .model = "m", .concurrency = 2, .key = "secret"},
                           task("stop = [\"\\n\"]\n"));
  EXPECT_EQ(error_, "no error");
  ASSERT_EQ(answers.size(), 6u);
  for (const auto& [item, text] : answers) EXPECT_EQ(text, "to say " + std::to_string(item));
  const Json request = server.requests()[0];
  EXPECT_EQ(request["model"], "m");
  EXPECT_EQ(request["temperature"], 0.0);
  EXPECT_EQ(request["max_tokens"], 9);
  EXPECT_EQ(request["stop"], Json({"\n"}));
  EXPECT_EQ(server.heads()[0].find("POST /v1/chat/completions "), 0u);
  EXPECT_NE(server.heads()[0].find("Authorization: Bearer secret\r\n"), std::string::npos);
}

// Only where there is one: a turn of the user alone is what most servers expect.
TEST_F(Servers, GetAMessageOfTheSystemFirst) {
  Server server([](size_t, const Json&) { return Server::Reply{.body = completion({"x"})}; });
  const EvalTask of = task();
  EvalItem item = of.item(0);
  item.system = "be strict";
  ServerSource({.url = server.url(), .model = "m"})
      .ask(of.config(), std::span(&item, 1), [](std::span<NumberedAnswer>) {});
  EXPECT_EQ(server.requests().at(0)["messages"],
            Json({{{"role", "system"}, {"content", "be strict"}},
                  {{"role", "user"}, {"content", "say 0"}}}));
}

TEST_F(Servers, AreAskedAgainWhenTheyFail) {
  Server server([](size_t number, const Json&) {
    if (number % 2 == 0) return Server::Reply{.status = 503, .body = "busy"};
    return Server::Reply{.body = completion({"x"})};
  });
  EXPECT_EQ(ask({.url = server.url(), .model = "m", .retries = 2, .concurrency = 1}, task()).size(),
            6u);
  EXPECT_EQ(error_, "no error");
}

// What came is kept; the error says what the server said.
TEST_F(Servers, ThatGoOnFailingEndTheRun) {
  Server server([](size_t number, const Json&) {
    if (number >= 3) return Server::Reply{.status = 500, .body = "{\"error\": \"overloaded\"}"};
    return Server::Reply{.body = completion({"x"})};
  });
  EXPECT_EQ(ask({.url = server.url(), .model = "m", .retries = 0, .concurrency = 2}, task()).size(),
            3u);
  EXPECT_NE(error_.find("answered 500: {\"error\": \"overloaded\"}"), std::string::npos) << error_;
  EXPECT_NE(error_.find("go on with --resume"), std::string::npos) << error_;
}

TEST_F(Servers, ThatRefuseAreNotAskedAgain) {
  Server server([](size_t, const Json&) { return Server::Reply{.status = 401, .body = "no key"}; });
  ask({.url = server.url(), .model = "m", .retries = 5, .concurrency = 1}, task());
  EXPECT_NE(error_.find("answered 401: no key"), std::string::npos) << error_;
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Servers, ThatSaySomethingElse) {
  Server nonsense([](size_t, const Json&) { return Server::Reply{.body = "<html>"}; });
  ask({.url = nonsense.url(), .model = "m", .concurrency = 1}, task());
  EXPECT_NE(error_.find("something else than a chat completion: <html>"), std::string::npos)
      << error_;
  Server single([](size_t, const Json& request) {
    EXPECT_EQ(request["n"], 3);
    return Server::Reply{.body = completion({"x"})};
  });
  ask({.url = single.url(), .model = "m", .concurrency = 1},
      task("samples = 3\ntemperature = 1.0\n"));
  EXPECT_NE(error_.find("gave 1 answers to a request for 3"), std::string::npos) << error_;
}

TEST_F(Servers, ThatAreNotThere) {
  ask({.url = "http://127.0.0.1:1/v1", .model = "m", .retries = 0}, task());
  EXPECT_NE(error_.find("gave no answer: "), std::string::npos) << error_;
}

}  // namespace
}  // namespace lathe::testing
