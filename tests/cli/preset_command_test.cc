// lathe sft MODEL DATA and its kin: what they show is a recipe, and what they run trains.

#include "cli/demo_testing.h"
#include "lathe/train/presets.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class PresetCommand : public AnswersRun, public ::testing::WithParamInterface<std::string_view> {
 protected:
  // The preset with a tiny model, its rows, and what a preset cannot know.
  std::vector<std::string> command() {
    const std::string name(GetParam());
    const std::map<std::string, ExampleKind> kinds = {
        {"sft", ExampleKind::kSingle},   {"distill", ExampleKind::kSingle},
        {"kto", ExampleKind::kLabelled}, {"reward", ExampleKind::kPair},
        {"dpo", ExampleKind::kPair},     {"orpo", ExampleKind::kPair},
        {"prm", ExampleKind::kSteps},    {"simpo", ExampleKind::kPair}};
    const auto kind = kinds.find(name);
    const bool draws = kind == kinds.end();
    std::vector<std::string> words = {name, model_folder("base", model_config("decoder"), 5),
                                      draws ? prompts() : rows_file(kind->second),
                                      "--train.out=" + out().string(), "--train.seq_len=24"};
    if (name == "distill")
      words.push_back("--objective.teacher=" +
                      model_folder("teacher", teacher_config("decoder"), 6));
    if (name == "ppo")
      words.push_back("--objective.critic=" +
                      model_folder("critic", model_config("decoder", 1), 7));
    if (draws) words.emplace_back("--objective.max_completion_length=4");
    return words;
  }
  std::string prompts() {
    std::string text;
    for (int i = 0; i < 9; ++i)
      text += fmt::format("{{\"prompt\": \"P{}\", \"answer\": \"{}\"}}\n", i, i);
    return folder_.write("prompts.jsonl", text).string();
  }
  static CommandResult run(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return run_lathe(words);
  }
};

TEST_P(PresetCommand, ShowsARecipe) {
  const std::vector<std::string> words = command();
  const CommandResult shown = run(words, {"--show"}), json = run(words, {"--show", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  ASSERT_EQ(json.code, 0) << json.err;
  EXPECT_FALSE(fs::exists(out()));
  const std::string toml = folder_.write("shown.toml", shown.out).string(),
                    tree = folder_.write("shown.json", json.out).string();
  for (const std::string& recipe : {toml, tree}) {
    EXPECT_EQ(run_lathe({"train", recipe, "--show"}).out, shown.out);
    EXPECT_EQ(run_lathe({"train", recipe, "--show", "--json"}).out, json.out);
  }
  const Json made = Json::parse(json.out);
  EXPECT_EQ(made["model"]["from"], words[1]);
  EXPECT_EQ(made["data"]["train"], Json({words[2]}));
  // A key that is given takes the place of the preset's.
  const CommandResult given =
      run(words, {"--show", "--json", "--optim.lr=0.125", "--train.steps=2"});
  ASSERT_EQ(given.code, 0) << given.err;
  EXPECT_EQ(Json::parse(given.out)["optim"]["lr"], 0.125);
  EXPECT_EQ(Json::parse(given.out)["train"]["steps"], 2);
}

class AdapterOfPreset : public PresetCommand {};  // the same for all of them

TEST_P(AdapterOfPreset, IsWhereItSays) {
  std::vector<std::string> words = command();
  words[1] = model_folder("llama", of_family("llama", model_config("decoder")), 5);
  const CommandResult r =
      run(words, {"--train.steps=1", "--adapter.peft_type=LORA", "--adapter.r=2",
                  "--adapter.target_modules=all-linear", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json said = Json::parse(r.out);
  EXPECT_EQ(said["adapter"], (out() / "adapter").string());
  EXPECT_FALSE(said.contains("model"));
  EXPECT_NE(r.err.find("the adapter is in " + (out() / "adapter").string()), std::string::npos)
      << r.err;
}

TEST_P(PresetCommand, Trains) {
  const std::vector<std::string> words = command();
  const CommandResult r = run(words, {"--train.steps=2"});
  ASSERT_EQ(r.code, 0) << r.err;
  const std::vector<Json> lines = metrics();
  ASSERT_EQ(lines.size(), 2U);
  for (const Json& line : lines) EXPECT_TRUE(std::isfinite(line.at("loss").get<double>()));
  EXPECT_TRUE(fs::exists(out() / "model" / "model.safetensors"));
  EXPECT_TRUE(fs::exists(out() / "model" / "tokenizer.json"));
  // What it writes is what it can go on from.
  const CommandResult again = run(words, {"--train.steps=2"});
  EXPECT_NE(again.code, 0);
  EXPECT_EQ(run(words, {"--train.steps=2", "--resume"}).code, 0);
}

INSTANTIATE_TEST_SUITE_P(, AdapterOfPreset, ::testing::Values("sft"));
INSTANTIATE_TEST_SUITE_P(, PresetCommand, ::testing::ValuesIn([] {
                           std::vector<std::string_view> names;
                           for (const TrainPreset& preset : train_presets())
                             names.push_back(preset.name);
                           return names;
                         }()),
                         [](const auto& each) { return std::string(each.param); });

using Presets = AnswersRun;

TEST_F(Presets, NeedAModelAndRows) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"sft"}, {"sft", model}}) {
    const CommandResult r = run_lathe(words);
    EXPECT_EQ(r.code, 2) << r.err;
  }
  const CommandResult none =
      run_lathe({"sft", model, (folder_ / "none.jsonl").string(), "--train.steps=1",
                 "--train.seq_len=24", "--train.out=" + out().string()});
  EXPECT_NE(none.code, 0);
  EXPECT_NE(none.err.find("none.jsonl"), std::string::npos) << none.err;
  const CommandResult shown = run_lathe({"sft", model, rows_file(ExampleKind::kSingle), "--show"});
  EXPECT_NE(shown.out.find("seq_len = 64"), std::string::npos) << "as many as the model reads";
}

// What a run measures on the adapter that it trains is what the finished adapter does on its base.
TEST_F(Presets, TasksAreMeasuredOnTheAdapterThatIsTrained) {
  ModelConfig config = of_family("llama", model_config("decoder"));
  config.vocab_size = kSampleSize;  // what it writes is what the tokenizer has
  config.eos_token_id = 0;
  config.decoder_start_token_id = {};
  const std::string base = model_folder("llama", config, 5);
  std::string rows;
  for (int i = 0; i < 6; ++i)
    rows += fmt::format("{{\"prompt\": \"P{}\", \"answer\": \"{}\"}}\n", i, i);
  folder_.write("digits.jsonl", rows);
  const std::string task =
      folder_
          .write("digits.toml",
                 "name = \"digits\"\nkind = \"loglikelihood\"\ndata = \"digits.jsonl\"\n"
                 "prompt = \"{{prompt}}\"\ntarget = \"{{answer}}\"\ndelimiter = \"\"\n"
                 "metrics = [\"acc\", \"perplexity\"]\n")
          .string();
  const auto train = [&](const std::string& kind, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"sft",
                                      base,
                                      rows_file(ExampleKind::kSingle),
                                      "--train.out=" + out().string(),
                                      "--train.seq_len=24",
                                      "--train.precision=fp32",
                                      "--train.steps=3",
                                      "--eval.tasks=" + task,
                                      "--eval.every=1",
                                      "--eval.share=1000000",
                                      "--adapter.peft_type=" + kind};
    words.insert(words.end(), more.begin(), more.end());
    return run_lathe(words);
  };
  const CommandResult none = train(
      "IA3", {"--adapter.target_modules=all-linear", "--adapter.feedforward_modules=down_proj"});
  EXPECT_NE(none.code, 0);
  EXPECT_NE(none.err.find("[eval.tasks] cannot be measured on this adapter"), std::string::npos)
      << none.err;
  const CommandResult r = train("LORA", {"--adapter.r=2", "--adapter.target_modules=all-linear",
                                         "--optim.lr=0.1", "--train.ema_decay=0.5"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto evaluated = [&](const std::vector<std::string>& with, const char* to) {
    std::vector<std::string> words = {
        "eval", base, "--tasks", task, "--out", (folder_ / to).string(), "--json"};
    words.insert(words.end(), with.begin(), with.end());
    const CommandResult result = run_lathe(words);
    EXPECT_EQ(result.code, 0) << result.err;
    return Json::parse(result.out)["tasks"]["digits"]["metrics"]["perplexity"]["value"]
        .get<double>();
  };
  std::vector<double> measured;
  for (const Json& line : metrics())
    if (line.contains("eval.digits.perplexity"))
      measured.push_back(line["eval.digits.perplexity"].get<double>());
  ASSERT_EQ(measured.size(), 3U);
  const double finished = evaluated({"--adapter", (out() / "adapter").string()}, "with");
  EXPECT_NEAR(measured[2], finished, 1e-6 * finished);
  EXPECT_GT(std::abs(evaluated({}, "without") - finished), 1e-3 * finished);
  EXPECT_GT(std::abs(measured[0] - measured[2]), 1e-3 * finished);
}

// A reward model, or one that judges steps, as an adapter of a model that predicts tokens: what `lathe merge` makes of
// both has its losses.
TEST_F(Presets, AnAdapterThatGivesScoresIsMergedIntoAClassifier) {
  const std::string base = model_folder("llama", of_family("llama", model_config("decoder")), 5);
  const std::string adapter = (out() / "adapter").string(), merged = (folder_ / "merged").string();
  const std::pair<const char*, const char*> classes[] = {
      {"reward", "LlamaForSequenceClassification"}, {"prm", "LlamaForTokenClassification"}};
  for (const auto& [called, name] : classes) {
    const std::string objective = called;
    const bool steps = objective == "prm";
    const std::string rows = rows_file(steps ? ExampleKind::kSteps : ExampleKind::kPair);
    start_over();
    folder_.write("adapted.json",
                  Json{{"model", {{"from", base}}},
                       {"adapter", {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}}},
                       {"data", {{"train", rows}}},
                       {"objective", {{"name", objective}}},
                       {"train", {{"steps", 5}, {"out", out().string()}, {"seq_len", 24}}},
                       {"optim", {{"lr", 0.05}}}}
                      .dump());
    ASSERT_EQ(run_lathe({"train", (folder_ / "adapted.json").string()}).code, 0);
    const CommandResult r =
        run_lathe({"merge", base, "--adapter", adapter, "--out", merged, "--json", "--overwrite"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_FALSE(Json::parse(r.out)["untied"].get<bool>());
    const Json config = Json::parse(content_of(folder_ / "merged" / "config.json"));
    EXPECT_EQ(config["architectures"], Json({name}));
    EXPECT_EQ(config["id2label"].size(), steps ? 2U : 1U);
    EXPECT_TRUE(fs::exists(folder_ / "merged" / "tokenizer.json"));
    const auto loss = [&](const std::string& model, const std::vector<std::string>& more) {
      std::vector<std::string> words = {"loss", model, "--data.train=" + rows, "--json",
                                        "--objective.name=" + objective};
      words.insert(words.end(), more.begin(), more.end());
      const CommandResult said = run_lathe(words);
      EXPECT_EQ(said.code, 0) << said.err;
      return Json::parse(said.out)["loss"].get<double>();
    };
    EXPECT_NEAR(loss(merged, {}), loss(base, {"--adapter", adapter}), 1e-5) << objective;
    EXPECT_GT(std::abs(loss(merged, {}) - loss(base, {})), 1e-3) << objective;
  }
}

TEST_F(Presets, TakeSeveralFiles) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string a = folder_.write("a.jsonl", R"({"prompt": "A", "completion": "B"})").string(),
                    b = folder_.write("b.jsonl", R"({"prompt": "C", "completion": "D"})").string();
  const CommandResult r =
      run_lathe({"sft", model, a, b, "--train.seq_len=24", "--train.out=" + out().string(),
                 "--train.budget=2 epochs", "--train.batch_size=1"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(metrics().size(), 4U);
}

}  // namespace
}  // namespace lathe::testing
