// The page at `/`, as files, and the votes that it sends.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "lathe/base/strings.h"
#include "lathe/io/mapped_file.h"
#include "lathe/serve/page_files.h"
#include "serve/served_api.h"

namespace lathe {
namespace {

using testing::Json;
using testing::ServedApi;

constexpr size_t kMostBytes = 200'000;

std::string header(const HttpResponse& r, std::string_view name) {
  for (const auto& [key, value] : r.headers)
    if (key == name) return value;
  return "";
}

std::string path_of(const EmbeddedText& file) {
  return file.name == "index.html" ? "/" : fmt::format("/page/{}", file.name);
}

TEST_F(ServedApi, ThePageIsFilesWithTypesAndAPolicy) {
  EXPECT_EQ(header(ask("GET", "/"), "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(header(ask("GET", "/page/style.css"), "Content-Type"), "text/css; charset=utf-8");
  EXPECT_EQ(header(ask("GET", "/page/app.js"), "Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(header(ask("GET", "/page/icon.svg"), "Content-Type"), "image/svg+xml");
  size_t bytes = 0;
  for (const EmbeddedText& file : page_files()) {
    const HttpResponse r = ask("GET", path_of(file));
    ASSERT_EQ(r.status, 200) << file.name;
    EXPECT_EQ(r.body, file.text);
    bytes += r.body.size();
    const std::string policy = header(r, "Content-Security-Policy");
    EXPECT_TRUE(policy.starts_with("default-src 'self';")) << policy;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(header(r, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(r, "X-Frame-Options"), "DENY");
    EXPECT_EQ(header(r, "Referrer-Policy"), "no-referrer");
  }
  EXPECT_GT(bytes, 10'000u);
  EXPECT_LT(bytes, kMostBytes);
}

TEST_F(ServedApi, ACopyOfThePageThatIsStillRightIsNotSentAgain) {
  const HttpResponse first = ask("GET", "/page/app.js");
  EXPECT_EQ(header(first, "Cache-Control"), "no-cache");
  const HttpResponse again =
      ask("GET", "/page/app.js", nullptr, {{"If-None-Match", header(first, "ETag")}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(header(again, "ETag"), header(first, "ETag"));
  EXPECT_EQ(ask("GET", "/page/app.js", nullptr, {{"If-None-Match", "\"other\""}}).status, 200);
}

TEST_F(ServedApi, OnlyThePageIsBehindItsPaths) {
  for (const char* path : {"/page/", "/page/index.html", "/page/other.js", "/page/../api.h",
                           "/page", "/index.html", "/favicon.ico", "/x"})
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  const HttpResponse posted = ask("POST", "/", Json::object());
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(header(posted, "Allow"), "GET");
}

// The page offers models that write answers, and not those that make vectors.
TEST_F(ServedApi, ModelsSayWhetherTheyWrite) {
  const Json models = Json::parse(ask("GET", "/v1/models").body);
  EXPECT_EQ(models["data"][0]["writes"], true);
}

TEST_F(ServedApi, ThePageNeedsNoKeyAndVotesDo) {
  Api api(models_, {.keys = {"sesame"}}, Log());
  const auto status = [&](const char* method, const char* path) {
    const auto reply = std::make_shared<testing::RecordedReply>();
    api.handle({.method = method, .path = path, .body = "{}"}, reply);
    return reply->wait().status;
  };
  for (const EmbeddedText& file : page_files())
    EXPECT_EQ(status("GET", path_of(file).c_str()), 200) << file.name;
  EXPECT_EQ(status("GET", "/v1/models"), 401);
  EXPECT_EQ(status("POST", "/v1/votes"), 401);
}

// What the policy would forbid, or would lead out of the server, is not in the files; nor is a way to make HTML of text.
TEST(PageFiles, HaveNothingInlineAndNothingFromElsewhere) {
  const std::regex inline_html(R"(<style|style=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:)");
  const std::regex html_of_text(
      R"(innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc)");
  const std::regex address(R"((https?:)?//[A-Za-z0-9.-]+\.[a-z]{2,}[^\s'"`]*)");
  for (const EmbeddedText& file : page_files()) {
    const std::string text(file.text);
    const bool is_html = file.name.ends_with(".html");
    EXPECT_FALSE(is_html && std::regex_search(text, inline_html)) << file.name;
    EXPECT_FALSE(std::regex_search(text, html_of_text)) << file.name;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), address);
         it != std::sregex_iterator(); ++it)
      EXPECT_EQ(it->str(), "http://www.w3.org/2000/svg") << file.name;  // the name of SVG
  }
}

// Every file that a module or the page names is there.
TEST(PageFiles, AreComplete) {
  const auto is_file = [](const std::string& name) {
    return std::ranges::find(page_files(), name, &EmbeddedText::name) != page_files().end();
  };
  const std::regex import(R"(from '\./([a-z.]+)';)"), link(R"re((?:src|href)="page/([^"]+)")re");
  size_t found = 0;
  for (const EmbeddedText& file : page_files()) {
    const std::string text(file.text);
    for (const std::regex& form : {import, link})
      for (auto it = std::sregex_iterator(text.begin(), text.end(), form);
           it != std::sregex_iterator(); ++it, ++found)
        EXPECT_TRUE(is_file((*it)[1])) << file.name << " names " << (*it)[1];
  }
  EXPECT_GT(found, 20u);
}

TEST(PageFiles, HaveTheElementsThatProgramsFind) {
  std::string all;
  for (const EmbeddedText& file : page_files()) all += file.text;
  for (const char* id :
       {"prompt",     "send",        "stop",        "new-chat",    "message",      "text",
        "regenerate", "edit",        "branch-prev", "branch-next", "branch-count", "settings",
        "system",     "temperature", "max-tokens",  "seed",        "theme",        "export",
        "import",     "compare",     "vote-left",   "vote-right",  "vote-tie",     "show-logprobs"})
    EXPECT_TRUE(
        std::regex_search(all, std::regex(fmt::format("testid'?[:=] ?['\"]{0}['\"]|'{0}'", id))))
        << id;
}

class Votes : public ServedApi {
 protected:
  static Json vote() {
    return {{"prompt", {{{"role", "user"}, {"content", "Which?"}}}},
            {"chosen", "this\n\"one\""},
            {"rejected", "that"},
            {"model_chosen", "letters"},
            {"model_rejected", "letters"}};
  }
  HttpResponse post(const Json& body) {
    const auto reply = std::make_shared<testing::RecordedReply>();
    voting_.handle({.method = "POST", .path = "/v1/votes", .body = body.dump()}, reply);
    return reply->wait();
  }
  // Status, and the key that the error names, for a vote with this instead.
  std::pair<int, std::string> refused_with(const char* key, const Json& value) {
    Json body = vote();
    body[key] = value;
    const HttpResponse r = post(body);
    const Json param = Json::parse(r.body)["error"]["param"];
    return {r.status, param.is_string() ? param : ""};
  }
  std::string kept() const { return read_file(path_.string()); }

  std::filesystem::path path_ = folder_ / "votes.jsonl";
  VoteFile file_{path_};
  Api voting_{models_, {.votes = &file_}, Log()};
};

TEST_F(Votes, AreLinesOfTheFile) {
  EXPECT_EQ(post(vote()).status, 200);
  Json more = vote();
  more["prompt"][0]["name"] = "somebody";  // of a message only what training reads is kept
  more["other"] = 1;
  const HttpResponse r = post(more);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(header(r, "Lathe-Ignored"), "other");
  EXPECT_EQ(kept(), vote().dump() + "\n" + vote().dump() + "\n");
}

TEST_F(Votes, FollowWhatTheFileHolds) {
  EXPECT_EQ(post(vote()).status, 200);
  VoteFile again(path_);
  again.append({{"a", 1}});
  EXPECT_EQ(kept(), vote().dump() + "\n{\"a\":1}\n");
}

TEST_F(Votes, ThatAreNoneAreRefused) {
  using Refusal = std::pair<int, std::string>;
  EXPECT_EQ(refused_with("rejected", vote()["chosen"]), Refusal(400, "rejected"));  // a tie
  EXPECT_EQ(refused_with("chosen", ""), Refusal(400, "chosen"));
  EXPECT_EQ(refused_with("chosen", 3), Refusal(400, "chosen"));
  EXPECT_EQ(refused_with("rejected", nullptr), Refusal(400, "rejected"));
  EXPECT_EQ(refused_with("prompt", "Which?"), Refusal(400, "prompt"));
  EXPECT_EQ(refused_with("prompt", Json::array()), Refusal(400, "prompt"));
  EXPECT_EQ(refused_with("prompt", {{{"role", "user"}}}), Refusal(400, "prompt[0]"));
  EXPECT_EQ(refused_with("prompt", {{{"role", "judge"}, {"content", "x"}}}),
            Refusal(400, "prompt[0]"));
  EXPECT_EQ(refused_with("prompt", {{{"role", "assistant"}, {"content", "x"}}}),
            Refusal(400, "prompt"));
  EXPECT_EQ(refused_with("model_chosen", "other"), Refusal(400, "model_chosen"));
  EXPECT_EQ(refused_with("model_rejected", 1), Refusal(400, "model_rejected"));
  EXPECT_EQ(refused_with("chosen", std::string(1 << 20, 'x')).first, 413);
  EXPECT_EQ(post(Json::array()).status, 400);
  EXPECT_EQ(kept(), "");
}

TEST_F(Votes, WithoutAFileAreRefused) {
  const HttpResponse r = ask("POST", "/v1/votes", vote());
  EXPECT_EQ(r.status, 403);
  EXPECT_NE(r.body.find("--votes FILE"), std::string::npos) << r.body;
}

TEST(VoteFile, SaysWhatToDoWhereItCannotBe) {
  try {
    const VoteFile file("/no/such/folder/votes.jsonl");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(std::string(error.what()).find("create the folder first"), std::string::npos);
  }
}

}  // namespace
}  // namespace lathe
