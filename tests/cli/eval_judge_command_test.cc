// lathe eval --judge: a server and a tiny model whose tokens are letters judge answers.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "cli/letters_model.h"
#include "eval/openai_server.h"
#include "io/temp_folder.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/json_file.h"
#include "lathe/io/sha256.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using testing::completion;
using testing::Server;

constexpr const char* kTask = R"(name = "rated"
kind = "generate"
data = "rows.jsonl"
prompt = "{{q}}"
max_tokens = 4
scorer = "judge"
metrics = ["rating"]
[judge]
system = "be strict"
prompt = "rate: {{response}}"
rating = '\[\[(\d+)\]\]'
lowest = 1
highest = 10
max_tokens = 4
)";

class EvalJudge : public ::testing::Test {
 protected:
  EvalJudge() {
    testing::make_letters_model(folder_ / "model");
    std::string rows, answers;
    for (int i = 0; i < 4; ++i) {
      const std::string letter(1, static_cast<char>('a' + i));
      rows += Json{{"q", letter}, {"other", "e"}}.dump() + "\n";
      answers += Json{{"task", "rated"}, {"id", i}, {"responses", {letter + letter}}}.dump() + "\n";
    }
    folder_.write("rows.jsonl", rows);
    folder_.write("answers.jsonl", answers);
    folder_.write("rated.toml", kTask);
    folder_.write(
        "plain.toml",
        "name = \"plain\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\nprompt = \"{{q}}\"\n"
        "target = \"a\"\nmetrics = [\"exact_match\"]\nmax_tokens = 4\n");
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  // Recorded answers, judged.
  CommandResult judge(const char* out, std::vector<std::string> more) const {
    std::vector<std::string> line = {
        "eval",    "--tasks", path("rated.toml"), "--responses", path("answers.jsonl"), "--out",
        path(out), "--json"};
    line.insert(line.end(), more.begin(), more.end());
    return run_lathe(line);
  }
  std::vector<Json> items(const char* out) const {
    std::vector<Json> all;
    std::ifstream in(folder_ / out / "items.jsonl");
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
  Json receipt(const char* out) const { return read_json_file(folder_ / out / "receipt.json"); }

  TempFolder folder_;
};

// The rating is the place of the answer's letter: "rate: cc" gets 3.
Server::Reply by_letter(const Json& request) {
  const std::string asked = request["messages"].back()["content"];
  return {.body = completion({"so [[" + std::to_string(asked.back() - 'a' + 1) + "]]"})};
}

TEST_F(EvalJudge, AServerRatesRecordedAnswers) {
  Server server([](size_t, const Json& request) { return by_letter(request); });
  const CommandResult r = judge("out", {"--judge", server.url(), "--judge-name", "j"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json results = Json::parse(r.out);
  EXPECT_EQ(results["tasks"]["rated"]["metrics"]["rating"]["value"], 2.5);
  EXPECT_EQ(results["tasks"]["rated"]["metrics"]["no_verdict"]["value"], 0.0);
  const Json request = server.requests().at(0);
  EXPECT_EQ(request["model"], "j");
  EXPECT_EQ(request["messages"][0], Json({{"role", "system"}, {"content", "be strict"}}));
  EXPECT_EQ(request["temperature"], 0.0);
  const Json item = items("out").at(2);
  EXPECT_EQ(item["response"], "cc");
  EXPECT_EQ(item["judgements"],
            Json::parse(R"([{"prompt": "rate: cc", "text": "so [[3]]", "verdict": 3.0}])"));
  EXPECT_EQ(receipt("out")["judge"]["model"], server.url() + " j");
  EXPECT_EQ(receipt("out")["options"]["judge_name"], "j");
  const std::string page = content_of(folder_ / "out" / "report.html");
  EXPECT_NE(page.find("the judge: 3.0"), std::string::npos);
  EXPECT_NE(page.find("so [[3]]"), std::string::npos);

  const CommandResult again =
      run_lathe({"eval", "--receipt", path("out/receipt.json"), "--out", path("again"), "--json"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(content_of(folder_ / "again" / "items.jsonl"),
            content_of(folder_ / "out" / "items.jsonl"));
}

// What it gave is kept, and --resume asks the rest; another judge may not go on.
TEST_F(EvalJudge, AServerThatFailsIsAskedTheRest) {
  std::atomic<bool> fails = true;
  Server server([&](size_t number, const Json& request) {
    if (fails && number >= 2) return Server::Reply{.status = 500, .body = "overloaded"};
    return by_letter(request);
  });
  const std::vector<std::string> options = {"--judge",   server.url(), "--judge-name",  "j",
                                            "--retries", "0",          "--concurrency", "1"};
  const CommandResult failed = judge("out", options);
  EXPECT_NE(failed.code, 0);
  EXPECT_NE(
      failed.err.find("answered 500: overloaded, to item 2 of task 'rated: judge'; the answers "
                      "so far are kept"),
      std::string::npos)
      << failed.err;
  EXPECT_EQ(items("out").size(), 6u) << "four are answered, two of them judged";
  EXPECT_EQ(server.requests().size(), 3u);
  fails = false;
  const CommandResult other =
      judge("out", {"--judge", server.url(), "--judge-name", "another", "--resume"});
  EXPECT_NE(other.err.find("another run, which differs in judge.model;"), std::string::npos)
      << other.err;
  std::vector<std::string> more = options;
  more.emplace_back("--resume");
  const CommandResult r = judge("out", more);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(server.requests().size(), 5u);
  EXPECT_EQ(Json::parse(r.out)["computed"], 2);
  EXPECT_EQ(Json::parse(r.out)["tasks"]["rated"]["metrics"]["rating"]["value"], 2.5);
  EXPECT_EQ(items("out").size(), 4u);
}

TEST_F(EvalJudge, ACacheKnowsWhatTheJudgeWrote) {
  Server server([](size_t, const Json& request) { return by_letter(request); });
  const std::vector<std::string> options = {"--judge", server.url(), "--judge-name",
                                            "j",       "--cache",    path("cache")};
  ASSERT_EQ(judge("first", options).code, 0);
  EXPECT_EQ(server.requests().size(), 4u);
  ASSERT_EQ(judge("second", options).code, 0);
  EXPECT_EQ(server.requests().size(), 4u);
  EXPECT_EQ(content_of(folder_ / "first" / "items.jsonl"),
            content_of(folder_ / "second" / "items.jsonl"));
}

// The same folder as model and judge: it has no chat template, and so reads the system's text first.
TEST_F(EvalJudge, AFolderJudgesByItsHashes) {
  std::string task = kTask;
  folder_.write("rated.toml", task.replace(task.find("rate: "), 6, ""));
  const std::vector<std::string> line = {"eval",    path("model"), "--tasks", path("rated.toml"),
                                         "--judge", path("model"), "--json"};
  const auto run = [&](const char* out) {
    std::vector<std::string> all = line;
    all.insert(all.end(), {"--out", path(out)});
    return run_lathe(all);
  };
  const CommandResult r = run("out");
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(Json::parse(r.out)["tasks"]["rated"]["metrics"]["no_verdict"]["value"], 1.0);
  const Json judge = receipt("out")["judge"];
  EXPECT_EQ(judge["model_sha256"], sha256_of_file(folder_ / "model" / "model.safetensors"));
  EXPECT_EQ(judge["tokenizer_sha256"], sha256_of_file(folder_ / "model" / "tokenizer.json"));
  EXPECT_TRUE(judge["chat_template_sha256"].is_null());
  EXPECT_EQ(judge["precision"], "fp32");
  const auto first = items("out");
  EXPECT_EQ(first[1]["judgements"][0]["prompt"], first[1]["response"]);

  folder_.write("model/chat_template.jinja", "{% for m in messages %}{{ m.content }}:{% endfor %}");
  const CommandResult changed =
      run_lathe({"eval", "--receipt", path("out/receipt.json"), "--out", path("x"), "--json"});
  EXPECT_NE(changed.err.find("its SHA-256 was none, and is "), std::string::npos)
      << "a chat template is there that was not: " << changed.err;
  ASSERT_EQ(run("templated").code, 0);
  const CommandResult diff = run_lathe(
      {"eval", "diff", path("out"), path("templated"), "--metric", "no_verdict", "--json"});
  ASSERT_EQ(diff.code, 0) << diff.err;
  EXPECT_EQ(Json::parse(diff.out)["tasks"]["rated"]["why"], Json({"judge.chat_template_sha256"}));
  EXPECT_NE(run_lathe({"eval", "diff", path("out"), path("templated")})
                .err.find("has no item of task 'rated' with 'rating'"),
            std::string::npos)
      << "without a verdict there is nothing to compare";
  folder_.write("model/chat_template.jinja",
                "{{ raise_exception('no ' + messages[0].role + ' here') }}");
  const CommandResult refused = run("refused");
  EXPECT_NE(refused.err.find("no system here"), std::string::npos) << refused.err;
  EXPECT_NE(run_lathe({"eval", "--receipt", path("templated/receipt.json"), "--out", path("x")})
                .err.find("model: the chat template] is not what it was"),
            std::string::npos);
}

TEST_F(EvalJudge, ARunThatTrainsAsksNone) {
  TokenShardWriter writer(folder_ / "data", 28);
  writer.add_document(std::vector<int32_t>(100, 1));
  writer.finish();
  folder_.write("run.toml",
                "[model]\nmodel_type = \"lathe\"\nvocab_size = 28\nhidden_size = 16\n"
                "num_hidden_layers = 1\nnum_attention_heads = 2\nmax_position_embeddings = 64\n"
                "[data]\ntrain = [\"" +
                    path("data") + "\"]\ntokenizer = \"" + path("model") +
                    "\"\n[train]\nsteps = 1\nbatch_size = 1\nseq_len = 8\n");
  const CommandResult r = run_lathe({"train", path("run.toml"), "--train.out=" + path("run"),
                                     "--eval.tasks=" + path("rated.toml")});
  EXPECT_NE(r.code, 0);
  EXPECT_NE(
      r.err.find("[eval.tasks] rated asks another model about answers, which a run does not do; "
                 "measure a checkpoint with `lathe eval CHECKPOINT --tasks rated --judge JUDGE`"),
      std::string::npos)
      << r.err;
}

TEST_F(EvalJudge, SaysWhatIsMissingOrTooMuch) {
  const auto refusal = [&](std::vector<std::string> line) {
    line.insert(line.begin(), "eval");
    line.insert(line.end(), {"--out", path("x")});
    const CommandResult r = run_lathe(line);
    EXPECT_NE(r.code, 0);
    return r.err;
  };
  const auto says = [&](const std::vector<std::string>& line, const std::string& text) {
    const std::string error = refusal(line);
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  const std::string rated = path("rated.toml"), plain = path("plain.toml"), model = path("model"),
                    answers = path("answers.jsonl");
  says(
      {"--tasks", rated, "--responses", answers},
      "rated.toml] asks a judge, another model, about answers; name one with --judge: a folder, or "
      "the address of a server with --judge-name");
  says({model, "--tasks", plain, "--judge", model},
       "[--judge] means nothing here: none of these tasks asks a judge");
  says({"--tasks", rated, "--responses", answers, "--judge", "http://127.0.0.1:1/v1"},
       "[--judge-name] is missing: the name under which the server has the judge");
  says({"--tasks", rated, "--responses", answers, "--judge", model, "--judge-name", "j"},
       "[--judge-name] is the name of a judge at a server, but the judge is a folder");
  says({model, "--tasks", plain, "--judge-name", "j"},
       "[--judge-name] is the name of a judge at a server, and there is no judge; leave it out");
  says({"--tasks", rated, "--render", "--judge", model},
       "--judge means nothing with --render; leave one of them out");
  says({"--receipt", "r.json", "--judge", model}, "--judge means nothing with --receipt");
  says({"--tasks", rated, "--responses", answers, "--judge", model, "--retries", "2"},
       "--retries means nothing with");
  says({"--tasks", rated, "--responses", answers, "--judge", "http://127.0.0.1:1/v1",
        "--judge-name", "j", "--precision", "bf16"},
       "--precision means nothing with");
}

}  // namespace
}  // namespace lathe
