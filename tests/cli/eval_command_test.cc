// lathe eval on a tiny model against the loss worked out here, from its logits.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/json_file.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe {
namespace {

using testing::logits_of;

std::string golden(const std::string& name) {
  return (testing::tests_folder() / "model" / "goldens" / name / "model").string();
}

class Eval : public ::testing::Test {
 protected:
  Eval() {
    for (int i = 0; i < 50; ++i) tokens_.push_back(i * i % 11);
    TokenShardWriter writer(folder_ / "data", 11);
    writer.add_document(tokens_);
    writer.finish();
  }
  CommandResult eval(const std::string& model, std::vector<std::string> options) const {
    options.insert(options.begin(), {"eval", model, "--data", (folder_ / "data").string()});
    return run_lathe(options);
  }
  // Mean loss of positions [begin, end) over all samples of `seq_len`.
  double expected(const std::string& model, int64_t seq_len, int64_t begin, int64_t end) const {
    const auto loaded = load_model(model, {});
    const auto samples = (static_cast<int64_t>(tokens_.size()) - 1) / seq_len;
    double sum = 0;
    for (int64_t s = 0; s < samples; ++s) {
      Tensor ids(Shape({1, seq_len}), DType::kI32);
      for (int64_t t = 0; t < seq_len; ++t)
        ids.data<int32_t>()[t] = tokens_[static_cast<size_t>(s * seq_len + t)];
      const Tensor logits = logits_of(*loaded, ids);
      const int64_t vocab = logits.size(2);
      for (int64_t t = begin; t < end; ++t) {
        const float* row = logits.data<float>() + t * vocab;
        double total = 0;
        for (int64_t v = 0; v < vocab; ++v) total += std::exp(static_cast<double>(row[v]));
        sum += std::log(total) - row[tokens_[static_cast<size_t>(s * seq_len + t + 1)]];
      }
    }
    return sum / static_cast<double>(samples * (end - begin));
  }

  TempFolder folder_;
  std::vector<int32_t> tokens_;
};

TEST_F(Eval, LossOfEveryPosition) {
  const std::string model = golden("llama");
  // Batches of one: all 7 samples of 7 tokens are read.
  const CommandResult r = eval(model, {"--seq-len", "7", "--buckets", "3", "--batch-size", "1",
                                       "--out", (folder_ / "out.json").string(), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto json = nlohmann::ordered_json::parse(r.out);
  EXPECT_EQ(json, read_json_file(folder_ / "out.json"));
  EXPECT_NE(run_lathe({"lineage", (folder_ / "out.json").string()}).out.find("evaluation"),
            std::string::npos);
  EXPECT_EQ(json["tokens"], 49);
  EXPECT_NEAR(json["loss"], expected(model, 7, 0, 7), 1e-5);
  const int64_t borders[] = {0, 2, 4, 7};
  ASSERT_EQ(json["by_position"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(json["by_position"][i]["from"], borders[i]);
    EXPECT_EQ(json["by_position"][i]["to"], borders[i + 1]);
    EXPECT_NEAR(json["by_position"][i]["loss"], expected(model, 7, borders[i], borders[i + 1]),
                1e-5);
  }
}

TEST_F(Eval, BucketsAreNoMoreThanPositions) {
  const CommandResult r =
      eval(golden("llama"), {"--seq-len", "3", "--samples", "4", "--batch-size", "3", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_EQ(json["by_position"].size(), 3u);
  EXPECT_EQ(json["tokens"], 12);
}

// Without options: the length, samples, objective and document mask of training, whatever the
// model's longest text is.
TEST_F(Eval, RepeatsTheValidationOfTraining) {
  folder_.write("run.toml",
                "[model]\nmodel_type = \"lathe\"\nvocab_size = 20\nhidden_size = 16\n"
                "num_hidden_layers = 1\nnum_attention_heads = 2\npad_token_id = 13\n"
                "max_position_embeddings = 64\n"
                "[train]\nsteps = 2\nbatch_size = 2\nseq_len = 8\nprecision = \"fp32\"\n"
                "eval_samples = 3\n");
  const std::string data = (folder_ / "data").string();
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {},
           {"--data.document_mask=true"},
           {"--train.eval_samples=0"},
           {"--model.body=encoder_decoder", "--objective.sentinels=6"},
           {"--model.body=encoder_decoder", "--objective.name=ul2", "--objective.sentinels=6"},
           {"--model.body=encoder", "--objective.mask_token_id=14"},
           {"--train.ema_decay=0.9"}}) {
    SCOPED_TRACE(more.empty() ? "" : more[0]);
    const std::string out = (folder_ / "run").string();
    std::filesystem::remove_all(out);
    std::vector<std::string> train = {"train", (folder_ / "run.toml").string(),
                                      "--data.train=" + data, "--data.valid=" + data,
                                      "--train.out=" + out};
    train.insert(train.end(), more.begin(), more.end());
    ASSERT_EQ(run_lathe(train).code, 0) << run_lathe(train).err;
    std::ifstream metrics(out + "/metrics.jsonl");
    nlohmann::json last;
    for (std::string line; std::getline(metrics, line);) last = nlohmann::json::parse(line);
    for (const char* folder : {"/model", "/checkpoints/step-00000002"}) {
      const CommandResult r = eval(out + folder, {"--json"});
      ASSERT_EQ(r.code, 0) << r.err;
      EXPECT_NEAR(nlohmann::json::parse(r.out).at("loss"), last.at("val_loss"), 1e-6);
    }
    // Of another length there is no validation to repeat: all samples are read.
    const auto longer =
        nlohmann::json::parse(eval(out + "/model", {"--seq-len", "9", "--json"}).out);
    EXPECT_EQ(longer.at("samples"), longer.at("samples_in_shard"));
  }
}

TEST_F(Eval, AdaptersAct) {
  const std::string model = golden("llama"), merged = (folder_ / "merged").string();
  const std::string adapters = (testing::tests_folder() / "model/goldens/adapters").string();
  const std::vector<std::string> two = {"--adapter", adapters + "/llama", "--adapter",
                                        adapters + "/llama-patterns"};
  std::vector<std::string> merge = {"merge", model, "--out", merged},
                           asked = {"--seq-len", "7", "--json", "--out",
                                    (folder_ / "out.json").string()};
  merge.insert(merge.end(), two.begin(), two.end());
  ASSERT_EQ(run_lathe(merge).code, 0);
  const auto loss = [&](const std::string& of, const std::vector<std::string>& with) {
    std::vector<std::string> all = asked;
    all.insert(all.end(), with.begin(), with.end());
    const CommandResult r = eval(of, all);
    EXPECT_EQ(r.code, 0) << r.err;
    return nlohmann::json::parse(r.out).at("loss").get<double>();
  };
  const double whole = loss(merged, {}), plain = loss(model, {});
  EXPECT_NEAR(loss(model, two), whole, 1e-5);
  EXPECT_EQ(read_json_file(folder_ / "out.json")["adapter"].size(), 2U);
  EXPECT_NE(run_lathe({"lineage", (folder_ / "out.json").string()}).out.find("llama-patterns"),
            std::string::npos);
  EXPECT_GT(std::abs(whole - plain), 1e-3);
}

TEST_F(Eval, ErrorsSayWhatIsExpected) {
  EXPECT_NE(eval(golden("llama"), {"--seq-len", "50"}).err.find("50 tokens are fewer than"),
            std::string::npos);
  EXPECT_NE(eval(golden("t5"), {"--seq-len", "8"}).err.find("expected \"decoder\""),
            std::string::npos);
  EXPECT_NE(eval(golden("gpt2"), {"--seq-len", "49"}).err.find("position"), std::string::npos);
}

TEST_F(Eval, TasksAreRendered) {
  folder_.write("rows.jsonl", R"({"q": "1+1", "c": ["2", "3"], "g": 0}
{"q": "2+2", "c": ["5", "4"], "g": 1}
)");
  folder_.write("sums.toml",
                "name = \"sums\"\nkind = \"choices\"\ndata = \"rows.jsonl\"\nprompt = \"{{q}}\"\n"
                "choices = \"{{c}}\"\ngold = \"{{g}}\"\nmetrics = [\"acc\"]\n");
  folder_.write("list", (folder_ / "sums.toml").string() + "\n");
  const auto render = [&](const std::string& tasks, const std::string& out) {
    return run_lathe({"eval", "--tasks", tasks, "--render", "--shots", "1", "--out",
                      (folder_ / out).string(), "--json"});
  };
  const CommandResult r = render((folder_ / "sums.toml").string(), "out");
  EXPECT_EQ(r.out, "{\"tasks\":{\"sums\":{\"n\":2}},\"computed\":0}\n") << r.err;
  const std::string items = content_of(folder_ / "out/items.jsonl");
  EXPECT_EQ(
      items.substr(0, items.find('\n')),
      R"({"task":"sums","id":0,"prompt":"2+2 4\n\n1+1","continuations":[" 2"," 3"],"gold":0})");
  EXPECT_EQ(render("@" + (folder_ / "list").string(), "again").code, 0);
  EXPECT_EQ(content_of(folder_ / "again/items.jsonl"), items);
  // A used folder is left as it is.
  EXPECT_NE(render((folder_ / "sums.toml").string(), "out").err.find("out"), std::string::npos);
  EXPECT_NE(render((folder_ / "sums.toml").string(), "out").code, 0);
  EXPECT_EQ(content_of(folder_ / "out/items.jsonl"), items);
  EXPECT_NE(render("sums", "new").err.find("'sums' is no built-in task or suite."),
            std::string::npos);
}

TEST_F(Eval, BuiltInTasksAreListedPrintedAndRendered) {
  const nlohmann::json list = nlohmann::json::parse(run_lathe({"eval", "tasks", "--json"}).out);
  EXPECT_EQ(list["tasks"]["piqa"]["rows"], 1838);
  EXPECT_EQ(list["suites"]["chinese"]["tasks"], (std::vector<std::string>{"ceval", "cmmlu"}));
  const std::string table = run_lathe({"eval", "tasks"}).out;
  EXPECT_NE(table.find("piqa             choices        1838  AFL 3.0         acc, acc_norm\n"),
            std::string::npos)
      << table;
  EXPECT_NE(run_lathe({"eval", "tasks", "pica"}).err.find("Did you mean 'piqa'?"),
            std::string::npos);
  const auto render = [&](const std::string& task, const std::string& out) {
    return run_lathe({"eval", "--tasks", task, "--render", "--task-data",
                      (folder_ / "data").string(), "--out", (folder_ / out).string()});
  };
  EXPECT_NE(render("piqa", "none").err.find("piqa/validation.jsonl] does not exist. To get it: "),
            std::string::npos);
  folder_.write("data/piqa/validation.jsonl", R"({"goal":"g","sol1":"a","sol2":"b","label":1})");
  const CommandResult built_in = render("piqa", "built-in");
  EXPECT_EQ(built_in.code, 0) << built_in.err;
  EXPECT_NE(built_in.err.find("has 1 rows, but piqa expects 1838"), std::string::npos)
      << built_in.err;
  // Its printed file, put beside the data, asks the same.
  folder_.write("data/mine.toml", run_lathe({"eval", "tasks", "piqa"}).out);
  EXPECT_EQ(run_lathe({"eval", "--tasks", (folder_ / "data/mine.toml").string(), "--render",
                       "--out", (folder_ / "mine").string()})
                .code,
            0);
  EXPECT_NE(render((folder_ / "data/mine.toml").string(), "none").err.find("--task-data means"),
            std::string::npos);
  const std::string items = content_of(folder_ / "built-in/items.jsonl");
  EXPECT_EQ(items,
            "{\"task\":\"piqa\",\"id\":0,\"prompt\":\"Question: g\\nAnswer:\",\"continuations\":["
            "\" a\",\" b\"],\"gold\":1,\"chance\":0.5}\n");
  EXPECT_EQ(content_of(folder_ / "mine/items.jsonl"), items);
}

// What a control is trained on: the same prompts and the same targets, of which none stands where it belongs.
TEST_F(Eval, ShuffledTargetsBelongToOtherItems) {
  const auto made = [&](const std::string& items, const std::vector<std::string>& options) {
    std::vector<std::string> all = {"eval",   "make",  "copy",
                                    "--size", "6",     "--items",
                                    items,    "--out", (folder_ / "made.jsonl").string()};
    all.insert(all.end(), options.begin(), options.end());
    return run_lathe(all);
  };
  const auto column = [&](const char* key) {
    std::istringstream lines(content_of(folder_ / "made.jsonl"));
    std::vector<std::string> values;
    for (std::string line; std::getline(lines, line);)
      values.push_back(nlohmann::json::parse(line).at(key));
    return values;
  };
  for (const std::string items : {"2", "3", "40"}) {
    ASSERT_EQ(made(items, {}).code, 0);
    auto prompts = column("prompt"), targets = column("target");
    ASSERT_EQ(made(items, {"--shuffled"}).code, 0);
    auto others = column("target");
    EXPECT_EQ(column("prompt"), prompts);
    ASSERT_EQ(others.size(), targets.size());
    for (size_t i = 0; i < targets.size(); ++i) EXPECT_NE(others[i], targets[i]) << items;
    std::ranges::sort(targets);
    std::ranges::sort(others);
    EXPECT_EQ(others, targets);
  }
  const CommandResult one = made("1", {"--shuffled"});
  EXPECT_EQ(one.code, 2);
  EXPECT_NE(one.err.find("ask for more with --items"), std::string::npos) << one.err;
}

TEST_F(Eval, MadeItemsOfSeveralSizesStateThem) {
  const auto make = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {
        "eval", "make", "copy", "--items", "4", "--out", (folder_ / "made.jsonl").string()};
    all.insert(all.end(), options.begin(), options.end());
    return run_lathe(all);
  };
  EXPECT_EQ(make({"--sizes", "2..3"}).code, 0);
  std::istringstream lines(content_of(folder_ / "made.jsonl"));
  std::vector<int> sizes;
  for (std::string line; std::getline(lines, line);)
    sizes.push_back(nlohmann::json::parse(line).at("size"));
  EXPECT_EQ(sizes, (std::vector<int>{2, 3, 2, 3}));
  EXPECT_EQ(make({"--size", "2"}).code, 0);
  EXPECT_EQ(content_of(folder_ / "made.jsonl").find("size"), std::string::npos);
  EXPECT_NE(make({"--sizes", "2-3"})
                .err.find("'2-3' is no range or list of numbers, expected as in "
                          "2..8 or 2,4,8"),
            std::string::npos);
  EXPECT_NE(make({"--sizes", "2..3", "--size", "2"}).err.find("both --size and --sizes"),
            std::string::npos);
  EXPECT_NE(make({"--sizes", "3..2"}).err.find("3..2 has no number; expected the smaller first"),
            std::string::npos);
  EXPECT_NE(make({"--sizes", "2,5,"}).err.find("'2,5,' is no range or list"), std::string::npos);
  EXPECT_NE(make({"--depths", "5"}).err.find("--depths means nothing with 'copy'"),
            std::string::npos);
}

TEST_F(Eval, NeedlesAreMadeFromATextForEachSizeAndDepth) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "Sentence number s" + std::to_string(i) + " of the text. ";
  const std::string book = folder_.write("book.txt", text).string();
  const auto make = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {"eval", "make", "needle", "--out",
                                    (folder_ / "needle.jsonl").string()};
    all.insert(all.end(), options.begin(), options.end());
    return run_lathe(all);
  };
  const CommandResult r =
      make({"--text", book, "--sizes", "50,200", "--depths", "0,50", "--items", "8"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err.find("fewer than"), std::string::npos) << r.err;
  std::istringstream lines(content_of(folder_ / "needle.jsonl"));
  std::vector<std::pair<int, int>> cells;
  for (std::string line; std::getline(lines, line);) {
    const auto item = nlohmann::json::parse(line);
    cells.emplace_back(item.at("size"), item.at("depth"));
    EXPECT_EQ(item.at("prompt").get<std::string>().starts_with("The number of"),
              item.at("depth") == 0);
  }
  EXPECT_EQ(cells,
            (std::vector<std::pair<int, int>>{
                {50, 0}, {200, 0}, {50, 50}, {200, 50}, {50, 0}, {200, 0}, {50, 50}, {200, 50}}));
  EXPECT_NE(content_of(folder_ / "needle.toml")
                .find("difficulty = {words = \"{{size}}\", depth = \"{{depth}}\"}"),
            std::string::npos);
  EXPECT_NE(content_of(folder_ / "needle.jsonl.manifest.json").find("book.txt"), std::string::npos);
  const CommandResult render = run_lathe({"eval", "--tasks", (folder_ / "needle.toml").string(),
                                          "--render", "--out", (folder_ / "asked").string()});
  EXPECT_EQ(render.code, 0) << render.err;
  EXPECT_NE(content_of(folder_ / "asked/items.jsonl")
                .find("\"difficulty\":{\"words\":200.0,\"depth\":50.0}"),
            std::string::npos);
  EXPECT_NE(make({"--text", book, "--sizes", "50,200", "--items", "8"})
                .err.find("8 items are fewer than the 10 pairs of a size and a depth"),
            std::string::npos);
  EXPECT_NE(make({"--text", book}).err.find("[--sizes] is missing: how many words the text"),
            std::string::npos);
  EXPECT_NE(make({"--text", book, "--size", "5000"}).err.find("book.txt] has 1200 words"),
            std::string::npos);
  EXPECT_NE(make({"--size", "50", "--depths", "0,101"}).err.find("101 is out of range; a depth is"),
            std::string::npos);
}

TEST_F(Eval, WhatBelongsToTheOtherUseIsRefused) {
  const auto refusal = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"eval"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_lathe(all).err;
  };
  EXPECT_NE(refusal({}).find("nothing is measured; name a token shard with --data, or tasks with"),
            std::string::npos);
  EXPECT_NE(refusal({"m", "--data", "d", "--tasks", "t.toml"}).find("both --data and --tasks"),
            std::string::npos);
  EXPECT_NE(refusal({"m", "--data", "d", "--shots", "2"}).find("--shots means nothing with --data"),
            std::string::npos);
  EXPECT_NE(
      refusal({"--tasks", "t.toml", "--seq-len", "2"}).find("--seq-len means nothing with --tasks"),
      std::string::npos);
  EXPECT_NE(refusal({"--data", "d"}).find("MODEL is missing"), std::string::npos);
  EXPECT_NE(refusal({"--tasks", "t.toml"}).find("see what would be asked with --render"),
            std::string::npos);
  EXPECT_NE(refusal({"m", "--tasks", "t.toml"}).find("[--out] is missing"), std::string::npos);
  EXPECT_NE(refusal({"m", "--tasks", "t.toml", "--render"}).find("leave 'm' out"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
