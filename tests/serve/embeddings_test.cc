// /v1/embeddings and /v1/rerank: forms of requests and answers, and what is refused.
#include <bit>
#include <cmath>

#include "embed/embed_goldens.h"
#include "lathe/text/base64.h"
#include "serve/served_api.h"

namespace lathe {
namespace {

using testing::Json;

// A language model, an encoder and a cross-encoder.
class Vectors : public ::testing::Test {
 protected:
  std::vector<ServedModelOptions> served() {
    testing::make_letters_model(folder_ / "letters");
    const auto goldens = testing::embed_goldens();
    return {{.name = "letters", .path = (folder_ / "letters").string()},
            {.name = "sentence", .path = (goldens / "sentence").string()},
            {.name = "cross", .path = (goldens / "cross").string()},
            {.name = "classes", .path = (goldens / "token_classes").string()}};
  }
  std::shared_ptr<testing::RecordedReply> send(const std::string& path, const Json& body) {
    auto reply = std::make_shared<testing::RecordedReply>();
    api_.handle({.method = "POST", .path = path, .body = body.dump()}, reply);
    return reply;
  }
  Json asked(const std::string& path, const Json& body) {
    const HttpResponse r = send(path, body)->wait();
    EXPECT_EQ(r.status, 200) << r.body;
    return Json::parse(r.body);
  }
  // Status, the key that the error names, and what it says.
  std::tuple<int, std::string, std::string> refused(const std::string& path, const Json& body) {
    const HttpResponse r = send(path, body)->wait();
    const Json error = Json::parse(r.body).value("error", Json::object());
    return {r.status, error["param"].is_string() ? error["param"] : Json(""), error["message"]};
  }
  std::vector<float> vector_of(Json body) {
    if (!body.contains("model")) body["model"] = "sentence";
    return asked("/v1/embeddings", body)["data"][0]["embedding"].get<std::vector<float>>();
  }
  Json metric(const std::string& name) {
    auto reply = std::make_shared<testing::RecordedReply>();
    api_.handle({.method = "GET", .path = "/metrics"}, reply);
    const std::string text = reply->wait().body;
    const size_t at = text.find("\n" + name);
    return at == std::string::npos
               ? Json()
               : Json(std::stod(text.substr(text.find(' ', at + name.size()) + 1)));
  }

  TempFolder folder_;
  ServedModels models_{served(), Log()};
  Api api_{models_, {}, Log()};
};

TEST_F(Vectors, HaveTheFormOfOpenAi) {
  const auto texts = testing::golden_texts();
  const Json all =
      asked("/v1/embeddings", {{"model", "sentence"}, {"input", texts}, {"user", "u"}});
  EXPECT_EQ(all["object"], "list");
  EXPECT_EQ(all["model"], "sentence");
  ASSERT_EQ(all["data"].size(), texts.size());
  const auto want = testing::expected("sentence").to_vector();
  int64_t tokens = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Json& one = all["data"][i];
    EXPECT_EQ(one["object"], "embedding");
    EXPECT_EQ(one["index"], i);
    const auto vector = one["embedding"].get<std::vector<double>>();
    ASSERT_EQ(vector.size(), 8u);
    for (size_t c = 0; c < 8; ++c) EXPECT_NEAR(vector[c], want[i * 8 + c], 2e-5);
    tokens += std::ssize(testing::expected_ids(fmt::format("ids.{}", i)));
  }
  EXPECT_EQ(all["usage"], (Json{{"prompt_tokens", tokens}, {"total_tokens", tokens}}));
  EXPECT_EQ(metric("lathe_prompt_tokens_total{model=\"sentence\"}"), tokens);
}

TEST_F(Vectors, InputIsATextOrIdsOneOrSeveral) {
  const std::string text = testing::golden_texts()[0];
  const std::vector<float> want = vector_of({{"input", text}});
  const Json ids = testing::expected_ids("ids.0");
  EXPECT_EQ(vector_of({{"input", ids}}), want);
  EXPECT_EQ(vector_of({{"input", Json::array({ids})}}), want);
  EXPECT_EQ(vector_of({{"input", Json::array({text})}}), want);
}

TEST_F(Vectors, Base64IsLittleEndian) {
  const Json body = {{"model", "sentence"}, {"input", "tea"}};
  const std::vector<float> want = vector_of(body);
  Json other = body;
  other["encoding_format"] = "base64";
  const auto bytes =
      from_base64(asked("/v1/embeddings", other)["data"][0]["embedding"].get<std::string>());
  ASSERT_TRUE(bytes && bytes->size() == 4 * want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    uint32_t bits = 0;
    for (size_t b = 0; b < 4; ++b)
      bits |= uint32_t{static_cast<uint8_t>((*bytes)[4 * i + b])} << (8 * b);
    EXPECT_EQ(std::bit_cast<float>(bits), want[i]);
  }
}

TEST_F(Vectors, DimensionsAreTheFirstValuesOfLength1Again) {
  const std::vector<float> whole = vector_of({{"input", "tea"}}),
                           cut = vector_of({{"input", "tea"}, {"dimensions", 3}});
  ASSERT_EQ(cut.size(), 3u);
  const double length = std::hypot(whole[0], whole[1], whole[2]);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(cut[i], whole[i] / length, 1e-6);
  EXPECT_EQ(vector_of({{"input", "tea"}, {"dimensions", 8}}), whole);
}

TEST_F(Vectors, OfALanguageModelGetNoSpecialTokens) {
  const Json all = asked("/v1/embeddings", {{"model", "letters"}, {"input", "abc"}});
  EXPECT_EQ(all["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(all["data"][0]["embedding"].size(),
            static_cast<size_t>(models_.find("letters")->model().config().hidden_size));
}

TEST_F(Vectors, WhatIsWrongIsNamed) {
  const std::string tea(200, 'x');
  for (const auto& [more, key, said] : std::vector<std::tuple<Json, std::string, std::string>>{
           {{{"input", ""}}, "input", "empty text"},
           {{{"input", nullptr}}, "input", "expected a text"},
           {{{"input", Json::array()}}, "input", "expected a text"},
           {{{"input", {Json::array()}}}, "input", "none is empty"},
           {{{"input", {"a", ""}}}, "input", "empty text"},
           {{{"input", {1, "a"}}}, "input", "texts, or lists of ids"},
           {{{"input", {72}}}, "input", "72 is no token of sentence"},
           {{{"input", {-1}}}, "input", "no token"},
           {{{"input", std::vector<int>(41, 5)}},
            "input",
            "41 tokens, but this model reads at most 40"},
           {{{"input", "a"}, {"dimensions", 9}}, "dimensions", "have 8 values"},
           {{{"input", "a"}, {"dimensions", 0}}, "dimensions", "at least 1"},
           {{{"input", "a"}, {"dimensions", "3"}}, "dimensions", "integer"},
           {{{"input", "a"}, {"encoding_format", "int8"}}, "encoding_format", "base64"},
           {{{"input", "a"}, {"lora", "x"}}, "lora", "adapters act on"},
           {{{"input", "a"}, {"truncate_prompt_tokens", 5}},
            "truncate_prompt_tokens",
            "nothing is cut"},
           {{{"input", "a"}, {"model", "cross"}}, "model", "score(s)"}}) {
    Json body = {{"model", "sentence"}};
    body.update(more);
    const auto [status, param, message] = refused("/v1/embeddings", body);
    EXPECT_EQ(status, 400) << body.dump();
    EXPECT_EQ(param, key) << message;
    EXPECT_NE(message.find(said), std::string::npos) << message;
  }
}

TEST_F(Vectors, AModelOfVectorsWritesNothing) {
  for (const char* name : {"sentence", "cross", "classes"}) {
    EXPECT_FALSE(models_.find(name)->writes());
    const auto [status, param, message] =
        refused("/v1/completions", {{"model", name}, {"prompt", "a"}});
    EXPECT_EQ(status, 400);
    EXPECT_EQ(param, "model");
    EXPECT_NE(message.find("writes no text"), std::string::npos) << message;
  }
}

// A reply whose client has left.
class GoneReply : public testing::RecordedReply {
 public:
  bool gone() const override { return true; }
  void send(HttpResponse) override { answered = true; }
  bool answered = false;
};

TEST_F(Vectors, NobodyIsAnsweredWhoHasLeft) {
  auto reply = std::make_shared<GoneReply>();
  const Json body = {{"model", "sentence"}, {"input", "tea"}};
  api_.handle({.method = "POST", .path = "/v1/embeddings", .body = body.dump()}, reply);
  EXPECT_FALSE(reply->answered);
  EXPECT_EQ(metric("lathe_requests_cancelled_total{model=\"sentence\"}"), 1);
  EXPECT_EQ(metric("lathe_prompt_tokens_total{model=\"sentence\"}"), 0);
}

class Rerank : public Vectors {
 protected:
  static Json body(const std::string& model, Json more = Json::object()) {
    Json all = {{"model", model}, {"query", "a watch"}, {"documents", {"x", "tea tea", "a watch"}}};
    all.update(more);
    return all;
  }
  Json results(const Json& body) { return asked("/v1/rerank", body)["results"]; }
};

TEST_F(Rerank, IsBestFirst) {
  for (const char* model : {"sentence", "cross"}) {
    const Json all = results(body(model));
    ASSERT_EQ(all.size(), 3u);
    EXPECT_GE(all[0]["relevance_score"], all[1]["relevance_score"]);
    EXPECT_GE(all[1]["relevance_score"], all[2]["relevance_score"]);
    EXPECT_FALSE(all[0].contains("document"));
  }
  const Json best = results(body("sentence"))[0];
  EXPECT_EQ(best["index"], 2);
  EXPECT_NEAR(best["relevance_score"].get<double>(), 1, 1e-5);
}

TEST_F(Rerank, EqualOnesComeInTheirOrder) {
  const Json all = results(body("cross", {{"documents", {"x", "tea", "x", "tea"}}}));
  std::map<double, int64_t> last;
  for (const Json& one : all) {
    const auto [it, first] = last.try_emplace(one["relevance_score"], one["index"]);
    EXPECT_TRUE(first || it->second < one["index"].get<int64_t>());
  }
  EXPECT_EQ(last.size(), 2u);
}

TEST_F(Rerank, ReturnsWhatIsAskedFor) {
  const Json documents = {{{"text", "x"}}, "tea tea", {{"text", "a watch"}, {"title", "t"}}};
  const Json answer =
      asked("/v1/rerank",
            body("sentence", {{"documents", documents}, {"top_n", 2}, {"return_documents", true}}));
  EXPECT_EQ(answer["model"], "sentence");
  ASSERT_EQ(answer["results"].size(), 2u);
  EXPECT_EQ(answer["results"][0]["document"], (Json{{"text", "a watch"}}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]);
  EXPECT_GT(answer["usage"]["total_tokens"], 8);
  EXPECT_EQ(results(body("sentence", {{"top_n", 100}})).size(), 3u);
}

// Of the documents to a language model, that makes the query likely which contains it.
TEST_F(Rerank, ALanguageModelRanksByLikelihood) {
  const Json all =
      results({{"model", "letters"}, {"query", "cab"}, {"documents", {"abc", "cab", "d e"}}});
  ASSERT_EQ(all.size(), 3u);
  for (const Json& one : all) EXPECT_LT(one["relevance_score"].get<double>(), 0);
}

TEST_F(Rerank, WhatIsWrongIsNamed) {
  for (const auto& [more, key, said] : std::vector<std::tuple<Json, std::string, std::string>>{
           {{{"query", ""}}, "query", "not empty"},
           {{{"query", 5}}, "query", "5"},
           {{{"query", nullptr}}, "query", "not empty"},
           {{{"documents", nullptr}}, "documents", "a list of texts"},
           {{{"documents", Json::array()}}, "documents", "at least one"},
           {{{"documents", "x"}}, "documents", "a list of texts"},
           {{{"documents", {"x", ""}}}, "documents", "document 1 is no text, or empty"},
           {{{"documents", {"x", 5}}}, "documents", "document 1"},
           {{{"documents", {{{"title", "x"}}}}}, "documents", "document 0"},
           {{{"documents", {"x", std::string(100, '!')}}}, "documents", "text 1 has"},
           {{{"top_n", 0}}, "top_n", "at least 1"},
           {{{"return_documents", "yes"}}, "return_documents", "true or false"},
           {{{"max_tokens_per_doc", 10}}, "max_tokens_per_doc", "nothing is cut"},
           {{{"model", "classes"}}, "model", "ranks no texts"}}) {
    const auto [status, param, message] = refused("/v1/rerank", body("cross", more));
    EXPECT_EQ(status, 400) << more.dump();
    EXPECT_EQ(param, key) << message;
    EXPECT_NE(message.find(said), std::string::npos) << message;
  }
}

// A folder for vectors alone whose files are wrong is not served; a language model is, and says why it has none.
TEST(VectorFolders, ThatAreWrongAreRefusedAtTheStart) {
  const testing::SentenceFolder folder;
  folder.modules({{"Pooling", "../x"}});
  const std::string said =
      error_text([&] { ServedModel({.name = "m", .path = folder.path().string()}, Log()); });
  EXPECT_NE(said.find("expected a folder inside this one"), std::string::npos) << said;
}

}  // namespace
}  // namespace lathe
