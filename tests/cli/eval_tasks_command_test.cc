// lathe eval --tasks on a tiny model whose tokens are letters: what is written, gone on with, repeated and compared.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "cli/letters_model.h"
#include "io/temp_folder.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/json_file.h"
#include "lathe/io/sha256.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kTask = R"(name = "letters"
kind = "choices"
data = "rows.jsonl"
prompt = "{{q}}:"
choices = "{{c}}"
gold = "{{g}}"
metrics = ["acc", "acc_norm", "bits_per_byte"]
)";

class EvalTasks : public ::testing::Test {
 protected:
  EvalTasks() {
    testing::make_letters_model(folder_ / "model");
    std::string rows;
    for (int i = 0; i < 12; ++i)
      rows += Json{{"q", std::string(1 + i % 3, static_cast<char>('a' + i))},
                   {"c", {"b", "cd", "a"}},
                   {"g", i % 3},
                   {"group", i / 4}}
                  .dump() +
              "\n";
    folder_.write("rows.jsonl", rows);
    folder_.write("letters.toml", kTask);
  }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  CommandResult eval(const char* out, std::vector<std::string> more = {},
                     const char* task = "letters.toml") const {
    std::vector<std::string> line = {"eval",  path("model"), "--tasks", path(task),
                                     "--out", path(out),     "--json"};
    line.insert(line.end(), more.begin(), more.end());
    return run_lathe(line);
  }
  std::vector<Json> items(const char* out) const {
    std::vector<Json> all;
    std::ifstream in(folder_ / out / "items.jsonl");
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
  void write_recipe() const;
  CommandResult train(const char* out, std::vector<std::string> more) const;

  TempFolder folder_;
};

TEST_F(EvalTasks, AnItemHasWhatWasAskedAndWhatTheModelSays) {
  const CommandResult r = eval("out", {"--shots", "2"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto all = items("out");
  ASSERT_EQ(all.size(), 12u);
  const Json& item = all[4];
  EXPECT_EQ(item["prompt"], "a: b\n\nbb: cd\n\nee:");
  EXPECT_EQ(item["continuations"], Json({" b", " cd", " a"}));
  EXPECT_EQ(item["gold"], 1);
  EXPECT_EQ(item["tokens"], Json({2, 3, 2}));
  // From the logits of the whole text.
  const auto model = load_model(folder_ / "model", {});
  const auto id = [](char c) { return c == ' ' ? 22 : c == ':' ? 23 : c == '\n' ? 25 : c - 'a'; };
  const std::string prompt = item["prompt"];
  for (size_t c = 0; c < 3; ++c) {
    const std::string text = prompt + item["continuations"][c].get<std::string>();
    Tensor ids({1, std::ssize(text)}, DType::kI32);
    for (size_t t = 0; t < text.size(); ++t) ids.data<int32_t>()[t] = id(text[t]);
    const Tensor logits = testing::logits_of(*model, ids);
    double sum = 0;
    for (size_t t = prompt.size(); t < text.size(); ++t) {
      const float* row = logits.data<float>() + (t - 1) * 29;
      double total = 0;
      for (int v = 0; v < 29; ++v) total += std::exp(static_cast<double>(row[v]));
      sum += row[id(text[t])] - std::log(total);
    }
    EXPECT_NEAR(item["logprobs"][c].get<double>(), sum, 1e-4);
  }
  // The first with the largest log-likelihood.
  const auto logprobs = item["logprobs"].get<std::vector<double>>();
  const auto best = std::ranges::max_element(logprobs) - logprobs.begin();
  EXPECT_EQ(item["metrics"]["acc"], best == 1 ? 1 : 0);
  EXPECT_NEAR(item["metrics"]["bits_per_byte"].get<double>(), -logprobs[1] / 2 / std::log(2),
              1e-12);
  const Json results = Json::parse(r.out);
  EXPECT_EQ(results, read_json_file(folder_ / "out" / "results.json"));
  EXPECT_EQ(results["computed"], 12);
  double right = 0;
  for (const Json& each : all) right += each["metrics"]["acc"].get<double>();
  EXPECT_NEAR(results["tasks"]["letters"]["metrics"]["acc"]["value"].get<double>(), right / 12,
              1e-12);
}

TEST_F(EvalTasks, AReceiptSaysWhatAScoreFollowsFrom) {
  ASSERT_EQ(eval("out", {"--shots", "1", "--seed", "3", "--limit", "5"}).code, 0);
  const Json receipt = read_json_file(folder_ / "out" / "receipt.json");
  EXPECT_EQ(receipt["model_sha256"], sha256_of_file(folder_ / "model" / "model.safetensors"));
  EXPECT_EQ(receipt["tokenizer_sha256"], sha256_of_file(folder_ / "model" / "tokenizer.json"));
  const Json& task = receipt["tasks"]["letters"];
  EXPECT_EQ(task["data_sha256"], sha256_of_file(folder_ / "rows.jsonl"));
  EXPECT_EQ(task["task_sha256"], sha256_of_file(folder_ / "letters.toml"));
  std::string requests;
  for (const Json& item : items("out"))
    for (const Json& continuation : item["continuations"])
      requests += item["prompt"].get<std::string>() + '\0' + continuation.get<std::string>() + "\n";
  EXPECT_EQ(task["prompt_sha256"], sha256_of_text(requests));

  const std::string file = path("out/receipt.json");
  const CommandResult again =
      run_lathe({"eval", "--receipt", file, "--out", path("again"), "--json"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(content_of(folder_ / "again" / "items.jsonl"),
            content_of(folder_ / "out" / "items.jsonl"));
  EXPECT_NE(
      run_lathe({"eval", path("model"), "--receipt", file, "--out", path("x")}).err.find("leave"),
      std::string::npos);
  const std::string rows = content_of(folder_ / "rows.jsonl");
  folder_.write("rows.jsonl", rows + "\n");
  const CommandResult changed = run_lathe({"eval", "--receipt", file, "--out", path("x")});
  EXPECT_NE(changed.code, 0);
  EXPECT_NE(changed.err.find("rows.jsonl] is not what it was"), std::string::npos) << changed.err;
  folder_.write("rows.jsonl", rows);
  std::string weights = content_of(folder_ / "model" / "model.safetensors");
  weights.back() = static_cast<char>(weights.back() + 1);
  folder_.write("model/model.safetensors", weights);
  EXPECT_NE(run_lathe({"eval", "--receipt", file, "--out", path("x")})
                .err.find("model] is not what it was"),
            std::string::npos);
}

// What is there is kept, a line that was cut is done again, and the order is that of the items.
TEST_F(EvalTasks, ARunGoesOnWithWhatItHas) {
  ASSERT_EQ(eval("whole").code, 0);
  ASSERT_EQ(eval("cut").code, 0);
  const std::string whole = content_of(folder_ / "whole" / "items.jsonl");
  std::istringstream in(whole);
  std::string kept;
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  for (const size_t i : {7, 2, 3}) kept += lines[i] + "\n";
  folder_.write("cut/items.jsonl", kept + lines[5].substr(0, 40));
  EXPECT_NE(eval("cut").err.find("add --resume"), std::string::npos);
  const CommandResult r = eval("cut", {"--resume"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(Json::parse(r.out)["computed"], 9);
  EXPECT_EQ(content_of(folder_ / "cut" / "items.jsonl"), whole);
  EXPECT_EQ(Json::parse(eval("cut", {"--resume"}).out)["computed"], 0);
  const CommandResult other = eval("cut", {"--resume", "--shots", "1"});
  EXPECT_NE(other.code, 0);
  EXPECT_NE(other.err.find("another run, which differs in shots, prompt_sha256"), std::string::npos)
      << other.err;
  folder_.write("files/a.txt", "mine");
  EXPECT_NE(eval("files", {"--resume"}).err.find("is no folder of an evaluation"),
            std::string::npos);
}

// By what was asked of whom: another folder, another name of the task, fewer items; but not other shots.
TEST_F(EvalTasks, WhatIsKnownIsNotAskedAgain) {
  const auto computed = [&](const char* out, std::vector<std::string> more, const char* task) {
    more.insert(more.end(), {"--cache", path("cache")});
    const CommandResult r = eval(out, more, task);
    EXPECT_EQ(r.code, 0) << r.err;
    return Json::parse(r.out)["computed"].get<int64_t>();
  };
  EXPECT_EQ(computed("first", {}, "letters.toml"), 12);
  std::string other = kTask;
  other.replace(other.find("letters"), 7, "renamed");
  folder_.write("renamed.toml", other);
  EXPECT_EQ(computed("second", {"--limit", "7"}, "renamed.toml"), 0);
  EXPECT_EQ(computed("third", {"--shots", "1"}, "letters.toml"), 12);
  EXPECT_EQ(computed("fourth", {"--precision", "bf16"}, "letters.toml"), 12);
  ASSERT_EQ(eval("without").code, 0);
  EXPECT_EQ(computed("fifth", {}, "letters.toml"), 0);
  EXPECT_EQ(content_of(folder_ / "fifth" / "items.jsonl"),
            content_of(folder_ / "without" / "items.jsonl"));
  folder_.write("wrong/answers.jsonl", "{\"a\": 1}\n");
  EXPECT_NE(eval("x", {"--cache", path("wrong")}).err.find("is no cache of answers"),
            std::string::npos);
}

TEST_F(EvalTasks, GuessingIsKnownAndTakenOffInSuites) {
  const CommandResult r = eval("out");
  EXPECT_NEAR(Json::parse(r.out)["tasks"]["letters"]["chance"].get<double>(), 1.0 / 3, 1e-12);
}

TEST_F(EvalTasks, ResultsInTheLayoutOfTheHarness) {
  const CommandResult r = eval("out", {"--format", "lm-eval", "--limit", "3"});
  ASSERT_EQ(r.code, 0) << r.err;
  fs::path results, samples;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out" / "lm-eval")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("results_")) results = entry.path();
    if (name.starts_with("samples_letters_")) samples = entry.path();
  }
  const Json json = read_json_file(results);
  const Json mine = Json::parse(r.out)["tasks"]["letters"]["metrics"];
  EXPECT_EQ(json["results"]["letters"]["acc,none"], mine["acc"]["value"]);
  EXPECT_EQ(json["results"]["letters"]["acc_norm_stderr,none"], mine["acc_norm"]["stderr"]);
  EXPECT_EQ(json["n-samples"]["letters"]["effective"], 3);
  std::ifstream in(samples);
  std::string line;
  std::getline(in, line);
  const Json sample = Json::parse(line);
  EXPECT_EQ(sample["doc_id"], 0);
  EXPECT_EQ(sample["arguments"]["gen_args_1"]["arg_1"], " cd");
  EXPECT_EQ(sample["target"], "0");
  EXPECT_EQ(sample["resps"].size(), 3u);
}

TEST_F(EvalTasks, RecordedAnswersAreJudgedWithoutThoughts) {
  folder_.write("sums.jsonl", R"({"q": "3+4", "a": "7", "n": 1}
{"q": "9+9", "a": "18", "n": 2}
)");
  folder_.write("sums.toml",
                "name = \"sums\"\nkind = \"generate\"\ndata = \"sums.jsonl\"\nprompt = \"{{q}}\"\n"
                "target = \"{{a}}\"\nmetrics = [\"exact_match\"]\nthink_end = \"</think>\"\n"
                "difficulty = \"{{n}}\"\n");
  folder_.write("answers.jsonl", R"({"task": "sums", "id": 0, "responses": ["8? no </think> 7"]}
{"task": "sums", "id": 1, "responses": ["17"]}
{"task": "other", "id": 1, "responses": ["17"]}
)");
  const auto score = [&](const char* out) {
    return run_lathe({"eval", "--tasks", path("sums.toml"), "--responses", path("answers.jsonl"),
                      "--out", path(out), "--json"});
  };
  const CommandResult r = score("out");
  ASSERT_EQ(r.code, 0) << r.err;
  const Json task = Json::parse(r.out)["tasks"]["sums"];
  EXPECT_EQ(task["metrics"]["exact_match"]["value"], 0.5);
  EXPECT_EQ(task["by_difficulty"][0]["metrics"]["exact_match"]["value"], 1.0);
  EXPECT_EQ(task["by_difficulty"][1]["metrics"]["exact_match"]["value"], 0.0);
  EXPECT_EQ(items("out")[0]["response"], "8? no </think> 7");
  folder_.write("answers.jsonl", R"({"task": "sums", "id": 0, "responses": ["7"]})");
  EXPECT_NE(score("few").err.find("has no answer to item 1 of task 'sums'"), std::string::npos);
  folder_.write("answers.jsonl", R"({"task": "sums", "id": 0, "responses": []})");
  EXPECT_NE(score("none").err.find("answers.jsonl:1] has no `responses`"), std::string::npos);
}

TEST_F(EvalTasks, ScoresByTwoNumbersAreDrawnAsAGrid) {
  folder_.write(
      "grid.toml",
      std::string(kTask) + "difficulty = {length = \"{{q|length}}\", group = \"{{group}}\"}\n");
  folder_.write("line.toml", std::string(kTask) + "difficulty = \"{{q|length}}\"\n");
  const CommandResult grid = eval("grid", {}, "grid.toml"), line = eval("line", {}, "line.toml");
  ASSERT_EQ(grid.code, 0) << grid.err;
  ASSERT_EQ(line.code, 0) << line.err;
  // Lengths 1 to 3 take turns, and a group is four rows.
  const Json parts = Json::parse(grid.out)["tasks"]["letters"]["by_difficulty"];
  ASSERT_EQ(parts.size(), 9U);
  EXPECT_EQ(parts[0]["difficulty"], (Json{{"length", 1.0}, {"group", 0.0}}));
  EXPECT_EQ(parts[0]["n"], 2);  // rows 0 and 3
  EXPECT_EQ(parts[8]["difficulty"], (Json{{"length", 3.0}, {"group", 2.0}}));
  double right = 0;
  for (const Json& part : parts)
    right += part["n"].get<double>() * part["metrics"]["acc"]["value"].get<double>();
  EXPECT_NEAR(right / 12,
              Json::parse(grid.out)["tasks"]["letters"]["metrics"]["acc"]["value"].get<double>(),
              1e-12);
  EXPECT_EQ(Json::parse(line.out)["tasks"]["letters"]["by_difficulty"][0]["difficulty"], 1.0);
  const std::string page = content_of(folder_ / "grid/report.html");
  EXPECT_NE(page.find("acc_norm by length and group"), std::string::npos);
  size_t cells = 0;
  for (size_t at = page.find("class=\"value\""); at != std::string::npos;
       at = page.find("class=\"value\"", at + 1))
    ++cells;
  EXPECT_EQ(cells, 27U);  // of three metrics
  const std::string other = content_of(folder_ / "line/report.html");
  EXPECT_NE(other.find("acc_norm by difficulty"), std::string::npos);
  EXPECT_EQ(other.find("class=\"value\""), std::string::npos);
}

TEST_F(EvalTasks, ItemsInTheCorpusAreCountedAndTheOthersScored) {
  std::string rows, seen;
  for (int i = 0; i < 6; ++i) {
    std::string text;
    for (int w = 0; w < 14; ++w) text += "w" + std::to_string(w * (i + 1)) + " ";
    if (i == 2 || i == 4) seen += "before " + text + "behind\n";
    rows += Json{{"q", "ab"}, {"note", text}, {"c", {"b", "cd", "a"}}, {"g", i % 3}}.dump() + "\n";
  }
  folder_.write("rows.jsonl", rows);
  folder_.write("corpus.txt", seen);
  const CommandResult r = eval("out", {"--corpus", path("corpus.txt")});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json task = Json::parse(r.out)["tasks"]["letters"];
  EXPECT_EQ(task["contamination"]["items"], 2);
  EXPECT_EQ(task["contamination"]["too_short"], 0);
  EXPECT_EQ(task["contamination"]["clean"]["n"], 4);
  double clean = 0;
  for (const Json& item : items("out"))
    if (item["id"] != 2 && item["id"] != 4) clean += item["metrics"]["acc"].get<double>();
  EXPECT_NEAR(task["contamination"]["clean"]["metrics"]["acc"]["value"].get<double>(), clean / 4,
              1e-12);
  EXPECT_EQ(read_json_file(folder_ / "out" /
                           "receipt.json")["tasks"]["letters"]["contamination"]["items"],
            2);
  EXPECT_FALSE(Json::parse(eval("none").out)["tasks"]["letters"].contains("contamination"));
}

TEST_F(EvalTasks, GroupsAreClusters) {
  folder_.write("groups.toml", std::string(kTask) + "group = \"{{group}}\"\n");
  const Json grouped = Json::parse(eval("grouped", {}, "groups.toml").out);
  const Json plain = Json::parse(eval("plain").out);
  const Json &a = grouped["tasks"]["letters"]["metrics"]["bits_per_byte"],
             &b = plain["tasks"]["letters"]["metrics"]["bits_per_byte"];
  EXPECT_EQ(a["value"], b["value"]);
  EXPECT_NE(a["stderr"], b["stderr"]);
}

TEST_F(EvalTasks, TargetsTextsAndChoicesWithoutAPrompt) {
  folder_.write("target.toml",
                "name = \"target\"\nkind = \"loglikelihood\"\ndata = \"rows.jsonl\"\nprompt = "
                "\"{{q}}:\"\ntarget = \"{{c[1]}}\"\nmetrics = [\"acc\", \"perplexity\", "
                "\"bits_per_byte\"]\n");
  folder_.write(
      "text.toml",
      "name = \"text\"\nkind = \"perplexity\"\ndata = \"rows.jsonl\"\ntarget = \"{{q * 30}} "
      "{{q}}\"\nmetrics = [\"word_perplexity\", \"byte_perplexity\", \"bits_per_byte\"]\n");
  folder_.write("uncond.toml",
                "uncond_prompt = \"?\"\n" +
                    std::string(kTask).replace(std::string(kTask).find("letters"), 7, "uncond"));
  std::string uncond = content_of(folder_ / "uncond.toml");
  uncond.replace(uncond.find("\"acc_norm\""), 10, "\"acc_uncond\"");
  folder_.write("uncond.toml", uncond);
  const CommandResult r =
      run_lathe({"eval", path("model"), "--tasks",
                 path("target.toml") + "," + path("text.toml") + "," + path("uncond.toml"), "--out",
                 path("out"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json tasks = Json::parse(r.out)["tasks"];
  double loss = 0, texts = 0, bytes = 0;
  int64_t words = 0;
  for (const Json& item : items("out")) {
    if (item["task"] == "target") loss -= item["logprobs"][0].get<double>();
    if (item["task"] == "text") {
      texts -= item["logprobs"][0].get<double>();
      bytes += static_cast<double>(item["continuations"][0].get<std::string>().size());
      words += 2;
      EXPECT_EQ(item["tokens"][0].get<size_t>(),
                item["continuations"][0].get<std::string>().size());
    }
    if (item["task"] == "uncond") {
      std::vector<double> gain;
      for (size_t c = 0; c < 3; ++c)
        gain.push_back(item["logprobs"][c].get<double>() - item["uncond"][c].get<double>());
      EXPECT_EQ(
          item["metrics"]["acc_uncond"],
          std::ranges::max_element(gain) - gain.begin() == item["gold"].get<int64_t>() ? 1 : 0);
    }
  }
  const auto value = [&](const char* task, const char* metric) {
    return tasks[task]["metrics"][metric]["value"].get<double>();
  };
  EXPECT_NEAR(value("target", "perplexity"), std::exp(loss / 12), 1e-9);
  EXPECT_NEAR(value("text", "word_perplexity") / std::exp(texts / static_cast<double>(words)), 1,
              1e-9);
  EXPECT_NEAR(value("text", "byte_perplexity"), std::exp(texts / bytes), 1e-9);
  EXPECT_NEAR(value("text", "bits_per_byte"), texts / bytes / std::log(2), 1e-9);
}

TEST_F(EvalTasks, PromptsLongerThanTheModelAreCutAndCounted) {
  std::string rows = content_of(folder_ / "rows.jsonl");
  rows +=
      R"({"q": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "c": ["b", "cd", "a"], "g": 0})";
  folder_.write("rows.jsonl", rows);
  const CommandResult r = eval("out");
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(Json::parse(r.out)["tasks"]["letters"]["truncated"], 1);
  EXPECT_EQ(items("out")[12]["truncated"], true);
  EXPECT_FALSE(items("out")[11].contains("truncated"));
}

TEST_F(EvalTasks, TwoRunsAreComparedItemByItem) {
  ASSERT_EQ(eval("a").code, 0);
  ASSERT_EQ(eval("b", {"--shots", "2"}).code, 0);
  const CommandResult r = run_lathe({"eval", "diff", path("a"), path("b"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json d = Json::parse(r.out)["tasks"]["letters"];
  const auto a = items("a"), b = items("b");
  Json changed = Json::array();
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double step = b[i]["metrics"]["acc"].get<double>() - a[i]["metrics"]["acc"].get<double>();
    sum += step;
    if (step != 0) changed.push_back(i);
  }
  EXPECT_EQ(d["changed"], changed);
  EXPECT_NEAR(d["difference"].get<double>(), sum / 12, 1e-12);
  EXPECT_EQ(d["why"], Json({"shots", "prompt_sha256"}));
  const CommandResult shown =
      run_lathe({"eval", "diff", path("a"), path("b"), "--metric", "bits_per_byte"});
  EXPECT_NE(shown.out.find("letters, bits_per_byte: "), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("what differs: shots, prompt_sha256"), std::string::npos) << shown.out;
  EXPECT_NE(run_lathe({"eval", "diff", path("a"), path("b"), "--metric", "x"})
                .err.find("has no metric 'x'"),
            std::string::npos);
  EXPECT_NE(run_lathe({"eval", "diff", path("a"), path("model")})
                .err.find("is no folder of an evaluation"),
            std::string::npos);
}

TEST_F(EvalTasks, AdaptersActAndAreInTheReceipt) {
  const fs::path goldens = testing::tests_folder() / "model" / "goldens" / "adapters";
  fs::copy(goldens / "llama", folder_ / "adapter", fs::copy_options::recursive);
  ASSERT_EQ(
      run_lathe({"merge", path("model"), "--adapter", path("adapter"), "--out", path("merged")})
          .code,
      0);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    fs::copy_file(folder_ / "model" / file, folder_ / "merged" / file,
                  fs::copy_options::overwrite_existing);
  folder_.write("write.toml",
                "name = \"write\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\nprompt = "
                "\"{{q}}:\"\ntarget = \"a\"\nmax_tokens = 6\nmetrics = [\"exact_match\"]\n");
  const std::vector<std::string> with = {"--adapter", path("adapter")};
  for (const char* task : {"letters.toml", "write.toml"}) {
    const std::string out = std::string("with-") + task, plain = std::string("plain-") + task,
                      merged = std::string("merged-") + task;
    const CommandResult r = eval(out.c_str(), with, task);
    ASSERT_EQ(r.code, 0) << r.err;
    ASSERT_EQ(eval(plain.c_str(), {}, task).code, 0);
    ASSERT_EQ(
        run_lathe({"eval", path("merged"), "--tasks", path(task), "--out", path(merged.c_str())})
            .code,
        0);
    const auto got = items(out.c_str()), want = items(merged.c_str()), base = items(plain.c_str());
    ASSERT_EQ(got.size(), want.size());
    int changed = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i].contains("response")) {
        EXPECT_EQ(got[i]["response"], want[i]["response"]);
        changed += got[i]["response"] != base[i]["response"];
        continue;
      }
      for (size_t c = 0; c < 3; ++c)
        EXPECT_NEAR(got[i]["logprobs"][c].get<double>(), want[i]["logprobs"][c].get<double>(),
                    1e-4);
      changed += std::abs(got[i]["logprobs"][0].get<double>() -
                          base[i]["logprobs"][0].get<double>()) > 1e-3;
    }
    EXPECT_GT(changed, 0) << task;
  }
  const std::string receipt = path("with-letters.toml/receipt.json");
  const Json facts = read_json_file(receipt);
  EXPECT_EQ(
      facts["adapter_sha256"],
      sha256_of_text(sha256_of_file(folder_ / "adapter" / "adapter_config.json") + "\n" +
                     sha256_of_file(folder_ / "adapter" / "adapter_model.safetensors") + "\n"));
  EXPECT_TRUE(read_json_file(path("plain-letters.toml/receipt.json"))["adapter_sha256"].is_null());
  ASSERT_EQ(run_lathe({"eval", "--receipt", receipt, "--out", path("again")}).code, 0);
  EXPECT_EQ(content_of(folder_ / "again/items.jsonl"),
            content_of(folder_ / "with-letters.toml/items.jsonl"));
  const Json why = Json::parse(
      run_lathe({"eval", "diff", path("plain-letters.toml"), path("with-letters.toml"), "--json"})
          .out)["tasks"]["letters"]["why"];
  EXPECT_EQ(why, Json({"adapter_sha256"}));
  EXPECT_NE(eval("with-letters.toml", {"--resume"}).err.find("differs in adapter_sha256"),
            std::string::npos);
  // What is known of the model is not known of the model with an adapter.
  const auto computed = [&](const char* out, std::vector<std::string> more) {
    more.insert(more.end(), {"--cache", path("cache")});
    return Json::parse(eval(out, more).out)["computed"].get<int64_t>();
  };
  EXPECT_EQ(computed("c1", {}), 12);
  EXPECT_EQ(computed("c2", with), 12);
  EXPECT_EQ(computed("c3", with), 0);
  // A change of the adapter is seen.
  std::string config = content_of(folder_ / "adapter/adapter_config.json");
  folder_.write("adapter/adapter_config.json", config + "\n");
  EXPECT_NE(run_lathe({"eval", "--receipt", receipt, "--out", path("x")})
                .err.find("adapter] is not what it was"),
            std::string::npos);
  const std::string other = eval("x", {"--adapter", (goldens / "loha").string()}).err;
  EXPECT_NE(other.find("`lathe merge` makes it part of the weights"), std::string::npos) << other;
  EXPECT_NE(run_lathe({"eval", "--tasks", path("letters.toml"), "--render", "--adapter",
                       path("adapter"), "--out", path("x")})
                .err.find("--adapter means nothing with --render"),
            std::string::npos);
}

// A recipe in run.toml, of a model with the tokenizer of the others here.
void EvalTasks::write_recipe() const {
  std::vector<int32_t> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back(i * i % 26);
  TokenShardWriter writer(folder_ / "data", 28);
  writer.add_document(tokens);
  writer.finish();
  folder_.write("run.toml",
                "[model]\nmodel_type = \"lathe\"\nvocab_size = 28\nhidden_size = 16\n"
                "num_hidden_layers = 1\nnum_attention_heads = 2\nmax_position_embeddings = 64\n"
                "bos_token_id = 26\neos_token_id = 27\n"
                "[data]\ntrain = [\"" +
                    path("data") + "\"]\ntokenizer = \"" + path("model") +
                    "\"\n"
                    "[train]\nsteps = 4\nbatch_size = 2\nseq_len = 8\nprecision = \"fp32\"\n"
                    "eval_every = 2\nema_decay = 0.5\n");
}

CommandResult EvalTasks::train(const char* out, std::vector<std::string> more) const {
  more.insert(more.begin(), {"train", path("run.toml"), "--train.out=" + path(out)});
  return run_lathe(more);
}

// On the run's own weights, without a change to them: the finished model says the same.
TEST_F(EvalTasks, ARunMeasuresTasksWhileItTrains) {
  write_recipe();
  const CommandResult with =
      train("with", {"--eval.tasks=" + path("letters.toml"), "--eval.share=1000000"});
  ASSERT_EQ(with.code, 0) << with.err;
  EXPECT_NE(with.err.find("step 4: letters acc "), std::string::npos) << with.err;
  ASSERT_EQ(train("without", {}).code, 0);
  EXPECT_EQ(content_of(folder_ / "with" / "model" / "model.safetensors"),
            content_of(folder_ / "without" / "model" / "model.safetensors"));
  const CommandResult after = run_lathe({"eval", path("with/model"), "--tasks",
                                         path("letters.toml"), "--out", path("out"), "--json"});
  ASSERT_EQ(after.code, 0) << after.err;
  const Json metrics = Json::parse(after.out)["tasks"]["letters"]["metrics"];
  std::vector<int64_t> steps;
  std::ifstream lines(folder_ / "with" / "metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const Json record = Json::parse(line);
    if (!record.contains("eval.letters.bits_per_byte")) continue;
    steps.push_back(record["step"]);
    if (record["step"] != 4) continue;
    for (const char* metric : {"acc", "acc_norm", "bits_per_byte"})
      EXPECT_NEAR(record[std::string("eval.letters.") + metric].get<double>(),
                  metrics[metric]["value"].get<double>(), 1e-6);
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{2, 4}));
  // With a small share only the end is measured.
  const CommandResult seldom = train("seldom", {"--eval.tasks=" + path("letters.toml"),
                                                "--eval.share=1e-9", "--train.eval_every=1"});
  EXPECT_NE(seldom.err.find("eval.share"), std::string::npos) << seldom.err;
  EXPECT_NE(seldom.err.find("step 4: letters acc "), std::string::npos) << seldom.err;
  EXPECT_EQ(seldom.err.find("step 2: letters acc "), std::string::npos) << seldom.err;
}

TEST_F(EvalTasks, WhatModelsScoredIsListedByCompute) {
  write_recipe();
  ASSERT_EQ(train("run", {"--eval.tasks=" + path("letters.toml"), "--eval.share=1000000"}).code, 0);
  ASSERT_EQ(run_lathe({"eval", path("run/model"), "--tasks", path("letters.toml"), "--out",
                       path("scores")})
                .code,
            0);
  const CommandResult r =
      run_lathe({"eval", "runs", folder_.path().string(), "--html", path("all.html"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json scores = Json::parse(r.out)["scores"], ladders = Json::parse(r.out)["ladders"];
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[0]["folder"], path("scores"));
  EXPECT_GT(scores[1]["flops"].get<double>(), 0);
  EXPECT_EQ(scores[2]["flops"], scores[0]["flops"]) << "the model is that of the last step";
  EXPECT_EQ(scores[2]["run"], scores[0]["run"]);
  ASSERT_EQ(ladders.size(), 2u);
  EXPECT_EQ(ladders[0]["metric"], "acc");
  EXPECT_EQ(ladders[1]["metric"], "bits_per_byte");
  EXPECT_EQ(ladders[0]["rungs"].size(), 3u);
  EXPECT_NE(content_of(folder_ / "all.html").find("By the compute of training"), std::string::npos);
  const CommandResult text = run_lathe({"eval", "runs", folder_.path().string()});
  EXPECT_NE(text.out.find("letters bits_per_byte has"), std::string::npos) << text.out;
  const CommandResult other = run_lathe({"eval", "runs", folder_.path().string(), "--tasks", "x"});
  EXPECT_NE(other.err.find("there is no evaluation of x below"), std::string::npos) << other.err;
}

// Of two tasks the one with the larger ratio of signal to noise, by a file that says so.
TEST_F(EvalTasks, ARunMeasuresTheTasksWithTheBestSignal) {
  write_recipe();
  ASSERT_EQ(train("with", {"--eval.tasks=" + path("letters.toml"), "--eval.share=1000000"}).code,
            0);
  folder_.write("words.toml", [] {
    std::string task = kTask;
    return task.replace(task.find("letters"), 7, "words");
  }());
  ASSERT_EQ(train("other", {"--eval.tasks=[\"" + path("letters.toml") + "\", \"" +
                                path("words.toml") + "\"]",
                            "--eval.share=1000000", "--train.seed=5"})
                .code,
            0);
  ASSERT_EQ(train("third", {"--eval.tasks=" + path("letters.toml"), "--eval.share=1000000"}).code,
            0);
  const CommandResult signals = run_lathe({"eval", "signal", path("with"), path("other"),
                                           path("third"), "--out", path("signal.json"), "--json"});
  ASSERT_EQ(signals.code, 0) << signals.err;
  EXPECT_EQ(read_json_file(path("signal.json")), Json::parse(signals.out));
  EXPECT_TRUE(fs::exists(path("signal.json.manifest.json")));
  const auto best = [&](const char* out, const char* number) {
    return train(out,
                 {"--eval.tasks=[\"" + path("letters.toml") + "\", \"" + path("words.toml") + "\"]",
                  "--eval.signal=" + path("signal.json"), std::string("--eval.best=") + number});
  };
  const CommandResult chosen = best("chosen", "1");
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  EXPECT_NE(chosen.err.find("of 2 tasks the best by the ratio of signal to noise are measured: "
                            "letters ("),
            std::string::npos)
      << chosen.err;
  EXPECT_NE(chosen.err.find("step 4: letters "), std::string::npos);
  EXPECT_EQ(chosen.err.find("step 4: words "), std::string::npos);
  EXPECT_NE(best("two", "2").err.find("signal.json] has 1 of eval.tasks (letters, words)"),
            std::string::npos);
  EXPECT_NE(best("three", "3").err.find("[eval.best] is 3, but eval.tasks are 2 tasks"),
            std::string::npos);
  EXPECT_NE(train("x", {"--eval.tasks=" + path("letters.toml"), "--eval.best=1"})
                .err.find("[eval.best] needs eval.signal"),
            std::string::npos);
  EXPECT_NE(train("x", {"--eval.tasks=" + path("letters.toml"), "--eval.signal=x.json"})
                .err.find("[eval.signal] chooses nothing without eval.best"),
            std::string::npos);
  EXPECT_NE(train("x", {"--eval.signal=x.json", "--eval.best=1"})
                .err.find("[eval.best] chooses among eval.tasks, of which there are none"),
            std::string::npos);
}

TEST_F(EvalTasks, RefusesOptionsThatWouldDoNothing) {
  const auto refusal = [&](std::vector<std::string> line) {
    line.insert(line.begin(), "eval");
    line.insert(line.end(), {"--out", path("x")});
    return run_lathe(line).err;
  };
  const std::string task = path("letters.toml"), nothing = " means nothing with ";
  EXPECT_NE(
      refusal({"--receipt", "r.json", "--shots", "2"}).find("--shots" + nothing + "--receipt"),
      std::string::npos);
  EXPECT_NE(
      refusal({"--tasks", task, "--render", "--cache", "c"}).find("--cache" + nothing + "--render"),
      std::string::npos);
  EXPECT_NE(refusal({"--tasks", task, "--responses", "r", "--precision", "bf16"})
                .find("--precision" + nothing + "--responses"),
            std::string::npos);
  EXPECT_NE(refusal({path("model"), "--tasks", task, "--retries", "1"}).find("--retries" + nothing),
            std::string::npos);
  EXPECT_NE(refusal({"http://h/v1", "--model-name", "m", "--tasks", task, "--weights", "native"})
                .find("--weights" + nothing + "a server"),
            std::string::npos);
}

TEST_F(EvalTasks, SaysWhatIsMissingOrTooMuch) {
  const auto refusal = [&](std::vector<std::string> line) {
    line.insert(line.begin(), "eval");
    const CommandResult r = run_lathe(line);
    EXPECT_NE(r.code, 0);
    return r.err;
  };
  const std::string task = path("letters.toml"), model = path("model");
  EXPECT_NE(refusal({model, "--tasks", task}).find("[--out] is missing"), std::string::npos);
  EXPECT_NE(refusal({"--tasks", task, "--out", path("x")}).find("nothing answers"),
            std::string::npos);
  EXPECT_NE(refusal({"http://127.0.0.1:1/v1", "--tasks", task, "--out", path("x")})
                .find("[--model-name] is missing"),
            std::string::npos);
  EXPECT_NE(refusal({model, "--model-name", "m", "--tasks", task, "--out", path("x")})
                .find("leave it out"),
            std::string::npos);
  EXPECT_NE(
      refusal({"http://127.0.0.1:1/v1", "--model-name", "m", "--tasks", task, "--out", path("x")})
          .find("log-likelihoods, which a server's chat interface does not give"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe
