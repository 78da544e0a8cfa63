// The endpoints without a network: requests in, answers out, by a small random model.
#include "lathe/serve/api.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "serve/served_api.h"

namespace lathe {
namespace {

using testing::events_of;
using testing::Json;
using testing::RecordedReply;
using testing::ServedApi;

TEST_F(ServedApi, AStreamIsTheWholeInPieces) {
  const Json options = {
      {"seed", 7}, {"max_tokens", 12},   {"logprobs", true},        {"top_logprobs", 2},
      {"n", 2},    {"ignore_eos", true}, {"return_token_ids", true}};
  const Json whole = asked(options);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 24);
  EXPECT_EQ(whole["usage"]["prompt_tokens"], whole["prompt_token_ids"].size());
  Json streamed = options;
  streamed.update({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  const HttpResponse r = ask("POST", "/v1/chat/completions", chat(streamed));
  const std::vector<Json> events = events_of(r.body);
  ASSERT_GT(events.size(), 6u);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(events[events.size() - 2]["usage"], whole["usage"]);
  for (size_t choice = 0; choice < 2; ++choice) {
    std::string text;
    Json ids = Json::array(), logprobs = Json::array();
    for (const Json& event : events) {
      if (!event.is_object() || event["choices"].empty() || event["choices"][0]["index"] != choice)
        continue;
      const Json& one = event["choices"][0];
      text += one["delta"].value("content", "");
      if (one.contains("token_ids"))
        ids.insert(ids.end(), one["token_ids"].begin(), one["token_ids"].end());
      if (one["logprobs"].is_object())
        logprobs.insert(logprobs.end(), one["logprobs"]["content"].begin(),
                        one["logprobs"]["content"].end());
    }
    const Json& want = whole["choices"][choice];
    EXPECT_EQ(text, want["message"]["content"]);
    EXPECT_EQ(ids, want["token_ids"]);
    EXPECT_EQ(logprobs, want["logprobs"]["content"]);
    EXPECT_EQ(logprobs.size(), 12u);
    EXPECT_EQ(want["finish_reason"], "length");
  }
}

// More answers than are written at once are those that one by one would be.
TEST_F(ServedApi, AnswersDrawFromTheirOwnStreams) {
  const Json options = {
      {"seed", 3}, {"max_tokens", 6}, {"ignore_eos", true}, {"return_token_ids", true}};
  Json many = options;
  many["n"] = 11;
  const Json all = asked(many);
  ASSERT_EQ(all["choices"].size(), 11u);
  std::set<std::string> different;
  for (size_t i = 0; i < 11; ++i) {
    EXPECT_EQ(all["choices"][i]["index"], i);
    different.insert(all["choices"][i]["token_ids"].dump());
  }
  EXPECT_GT(different.size(), 8u);
  EXPECT_EQ(asked(options)["choices"][0]["token_ids"], all["choices"][0]["token_ids"]);
}

TEST_F(ServedApi, AStopStringIsNotInTheAnswer) {
  const Json options = {{"seed", 5}, {"max_tokens", 40}, {"ignore_eos", true}};
  const std::string text = asked(options)["choices"][0]["message"]["content"];
  ASSERT_GT(text.size(), 12u);
  const std::string stop = text.substr(5, 2);
  Json stopped = options;
  stopped["stop"] = stop;
  const Json choice = asked(stopped)["choices"][0];
  EXPECT_EQ(choice["message"]["content"], text.substr(0, text.find(stop)));
  EXPECT_EQ(choice["finish_reason"], "stop");
}

TEST_F(ServedApi, ErrorsNameTheKey) {
  for (const auto& [more, key] : std::vector<std::pair<Json, std::string>>{
           {{{"temperature", "hot"}}, "temperature"},
           {{{"temperature", -1}}, "temperature"},
           {{{"top_p", 2}}, "top_p"},
           {{{"n", 0}}, "n"},
           {{{"max_tokens", 1.5}}, "max_tokens"},
           {{{"max_completion_tokens", -1}}, "max_completion_tokens"},
           {{{"stop", 3}}, "stop"},
           {{{"seed", Json::array({1})}}, "seed"},
           {{{"logit_bias", {{"x", 1}}}}, "logit_bias"},
           {{{"logit_bias", {{"99999", 1}}}}, "logit_bias"},
           {{{"top_logprobs", 99}, {"logprobs", true}}, "top_logprobs"},
           {{{"messages", "hi"}}, "messages"},
           {{{"messages", Json::array()}}, "messages"},
           {{{"messages", {{{"role", "king"}, {"content", "x"}}}}}, "messages[0]"},
           {{{"messages", {{{"role", "user"}, {"content", 5}}}}}, "messages[0]"},
           {{{"tools", Json::object()}}, "tools"},
           {{{"tool_choice", "required"}}, "tool_choice"},
           {{{"audio", {{"voice", "x"}}}}, "audio"},
           {{{"response_format", {{"type", "xml"}}}}, "response_format"},
           {{{"stream_options", {{"include_usage", true}}}}, "stream_options"},
           {{{"grammar", "root ::= ("}}, "grammar"}})
    EXPECT_EQ(refused(more), (std::pair<int, std::string>{400, key})) << more.dump();
  EXPECT_EQ(refused({{"model", "nope"}}), (std::pair<int, std::string>{404, "model"}));
  EXPECT_EQ(refused({{"model", 5}}), (std::pair<int, std::string>{400, "model"}));
  std::string long_text(5000, 'a');
  const HttpResponse r = ask("POST", "/v1/chat/completions",
                             chat({{"messages", {{{"role", "user"}, {"content", long_text}}}}}));
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(Json::parse(r.body)["error"]["code"], "context_length_exceeded");
}

TEST_F(ServedApi, WhatIsIgnoredIsNamed) {
  const HttpResponse r = ask("POST", "/v1/chat/completions",
                             chat({{"max_tokens", 2}, {"frobnicate", 1}, {"stop", nullptr}}));
  ASSERT_EQ(r.status, 200) << r.body;
  const auto it =
      std::ranges::find(r.headers, "Lathe-Ignored", [](const auto& h) { return h.first; });
  ASSERT_NE(it, r.headers.end());
  EXPECT_EQ(it->second, "frobnicate");
}

TEST_F(ServedApi, BodiesThatAreNoRequests) {
  for (const std::string body : {"", "[]", "5", "{", "{\"a\": 1, \"a\": 2}"})
    EXPECT_EQ(ask("POST", "/v1/chat/completions", Json(body)).status, 400) << body;
  EXPECT_EQ(ask("GET", "/v1/nothing").status, 404);
  const HttpResponse r = ask("GET", "/v1/chat/completions");
  EXPECT_EQ(r.status, 405);
  EXPECT_TRUE(std::ranges::find(r.headers, std::pair<std::string, std::string>("Allow", "POST")) !=
              r.headers.end());
  EXPECT_EQ(
      ask("POST", "/v1/chat/completions", chat(Json::object()), {{"Content-Type", "text/plain"}})
          .status,
      415);
}

TEST_F(ServedApi, AClientThatLeavesFreesItsPlace) {
  const auto reply = send("POST", "/v1/chat/completions",
                          chat({{"max_tokens", 4000}, {"ignore_eos", true}, {"stream", true}}));
  ASSERT_TRUE(reply->wait_for_beginning());
  EXPECT_EQ(Json::parse(ask("GET", "/slots").body).size(), 1u);
  reply->leave();
  const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (ask("GET", "/slots").body != "[]") ASSERT_LT(std::chrono::steady_clock::now(), last);
  EXPECT_NE(
      ask("GET", "/metrics").body.find("lathe_requests_cancelled_total{model=\"letters\"} 1\n"),
      std::string::npos);
}

TEST_F(ServedApi, CompletionsKeepTheOrderOfPrompts) {
  const auto complete = [&](Json more) {
    Json body = {{"model", "letters"}, {"max_tokens", 5}, {"temperature", 0}, {"ignore_eos", true}};
    body.update(more);
    const HttpResponse r = ask("POST", "/v1/completions", body);
    EXPECT_EQ(r.status, 200) << r.body;
    return Json::parse(r.body);
  };
  const Json two = complete({{"prompt", {"abc", "de fg"}}, {"n", 2}});
  ASSERT_EQ(two["choices"].size(), 4u);
  EXPECT_EQ(two["choices"][0]["text"], two["choices"][1]["text"]);
  EXPECT_EQ(two["choices"][2]["text"], complete({{"prompt", "de fg"}})["choices"][0]["text"]);
  EXPECT_EQ(complete({{"prompt", "abc"}, {"echo", true}})["choices"][0]["text"],
            "abc" + two["choices"][0]["text"].get<std::string>());
  EXPECT_EQ(complete({{"prompt", {0, 1, 2}}})["choices"][0]["text"], two["choices"][0]["text"]);
}

TEST_F(ServedApi, TextsAndTokens) {
  const Json tokens = Json::parse(ask("POST", "/tokenize", {{"content", "ab c"}}).body)["tokens"];
  EXPECT_EQ(tokens, Json({0, 1, 22, 2}));
  EXPECT_EQ(Json::parse(ask("POST", "/detokenize", {{"tokens", tokens}}).body)["content"], "ab c");
  EXPECT_EQ(ask("POST", "/detokenize", {{"tokens", {99999}}}).status, 400);
  EXPECT_EQ(Json::parse(ask("POST", "/apply-template", chat(Json::object())).body)["prompt"],
            "u:abc de\na:");
}

TEST_F(ServedApi, WhatTakesTooLongEndsWithAnError) {
  Api hasty(models_, {.request_seconds = 0.0001}, Log());
  const auto reply = std::make_shared<RecordedReply>();
  const Json body = chat({{"max_tokens", 4000}, {"ignore_eos", true}, {"stream", true}});
  hasty.handle({.method = "POST", .path = "/v1/chat/completions", .body = body.dump()}, reply);
  ASSERT_TRUE(reply->wait_for_beginning());
  hasty.end_overdue();
  const auto events = events_of(reply->wait().body);
  EXPECT_EQ(events.back()["error"]["code"], "timeout");
  EXPECT_LT(events.size(), 4000u);
}

TEST_F(ServedApi, AdaptersThatAreNotThereAreNamed) {
  EXPECT_EQ(refused({{"lora", "mine"}}), (std::pair<int, std::string>{400, "lora"}));
  EXPECT_EQ(refused({{"lora", 5}}), (std::pair<int, std::string>{400, "lora"}));
  EXPECT_EQ(asked({{"lora", Json::array()}, {"max_tokens", 2}})["choices"].size(), 1u);
}

TEST(ServedApiKeys, OnlyHealthIsOpenToAll) {
  ServedModels none({}, Log());
  Api api(none, {.keys = {"one", "two"}}, Log());
  const auto status = [&](const std::string& path, HttpHeaders headers) {
    const auto reply = std::make_shared<RecordedReply>();
    api.handle({.method = "GET", .path = path, .headers = std::move(headers)}, reply);
    return reply->wait().status;
  };
  EXPECT_EQ(status("/health", {}), 200);
  EXPECT_EQ(status("/v1/models", {}), 401);
  EXPECT_EQ(status("/v1/models", {{"Authorization", "Bearer on"}}), 401);
  EXPECT_EQ(status("/v1/models", {{"Authorization", "Bearer two"}}), 200);
  EXPECT_EQ(status("/v1/models", {{"x-api-key", "one"}}), 200);
}

}  // namespace
}  // namespace lathe
