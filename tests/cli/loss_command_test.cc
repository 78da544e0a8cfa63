// lathe loss: what it prints and writes.

#include <cmath>
#include <cstring>

#include "cli/demo_testing.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

// A file of tensors in f32 as a whole in memory.
struct Tensors {
  Json header;
  std::string data;

  explicit Tensors(const fs::path& path) {
    const std::string content = content_of(path);
    uint64_t size = 0;
    std::memcpy(&size, content.data(), sizeof size);
    header = Json::parse(content.substr(8, size));
    header.erase("__metadata__");
    data = content.substr(8 + size);
  }
  bool has(const std::string& name) const { return header.contains(name); }
  std::vector<int64_t> shape(const std::string& name) const {
    return header.at(name).at("shape").get<std::vector<int64_t>>();
  }
  std::vector<float> of(const std::string& name) const {
    const auto [begin, end] = header.at(name).at("data_offsets").get<std::pair<size_t, size_t>>();
    std::vector<float> numbers((end - begin) / sizeof(float));
    std::memcpy(numbers.data(), data.data() + begin, end - begin);
    return numbers;
  }
};

class LossCommand : public AnswersRun {
 protected:
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  CommandResult loss(const std::string& model, std::vector<std::string> more) {
    more.insert(more.begin(), {"loss", model});
    return run_lathe(more);
  }
  Json numbers(const std::string& model, std::vector<std::string> more) {
    more.emplace_back("--json");
    const CommandResult r = loss(model, std::move(more));
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? Json::parse(r.out) : Json();
  }
  std::string refusal(const std::string& model, std::vector<std::string> more) {
    const CommandResult r = loss(model, std::move(more));
    EXPECT_NE(r.code, 0);
    EXPECT_EQ(r.out, "");
    return r.err;
  }
  std::string rows(const std::string& text) { return folder_.write("given.jsonl", text).string(); }

  // Options of an objective on the rows of the fixture, or on rows of its own kind.
  std::vector<std::string> options(const AnswersSetting& s, const std::string& data) {
    std::vector<std::string> all = {"--data.train=" + data, "--objective.name=" + s.objective,
                                    "--train.seq_len=24", "--train.batch_size=4"};
    if (s.objective == "distill")
      all.push_back("--objective.teacher=" + model_folder("teacher", teacher_config(s.body), 6));
    if (s.objective == "ppo")
      all.push_back("--objective.critic=" + model_folder("critic", model_config(s.body, 1), 7));
    for (const char* other : {"dpo", "kto", "ppo", "reinforce_pp"})
      if (s.objective == other)
        all.push_back("--objective.reference=" +
                      model_folder("reference", teacher_config(s.body), 8));
    return all;
  }
  std::string rows_of(ExampleKind kind) {
    if (kind != ExampleKind::kRollout) return rows_file(kind);
    std::string text;
    for (int i = 0; i < 4; ++i)
      text += Json({{"prompt_ids", {65, 66}},
                    {"completion_ids", {70 + i, 71, 72}},
                    {"reward", i * i},
                    {"group", i / 2},
                    {"old_logps", {-5.5, -5.7, -5.4 - 0.1 * i}},
                    {"old_values", {0.1, 0.2, 0.3}}})
                  .dump() +
              "\n";
    return rows(text);
  }
  ExampleKind kind_of(const std::string& objective, const std::vector<std::string>& given) {
    Json section = {{"name", objective}};
    for (const std::string& option : given) {
      const size_t dot = option.find("--objective."), equals = option.find('=');
      if (dot == 0) section[option.substr(12, equals - 12)] = option.substr(equals + 1);
    }
    return find_in(objectives(), "objective.name", objective)
        .answers(read_objective(section).components.of(objective))
        ->needs()
        .kind;
  }
};

double squares(const Tensors& gradients, const std::string& prefix) {
  double sum = 0;
  for (const auto& [name, entry] : gradients.header.items())
    if (name.starts_with(prefix) && (prefix != "grad." || !name.starts_with("grad.critic.")))
      for (const float g : gradients.of(name)) sum += double{g} * g;
  return sum;
}

class LossOf : public LossCommand, public ::testing::WithParamInterface<AnswersSetting> {};

TEST_P(LossOf, HasAGradientOfEveryWeight) {
  const AnswersSetting& s = GetParam();
  ModelConfig config = teacher_config(s.body);
  config.num_labels = s.objective == "reward" ? 1 : s.objective == "prm" ? 2 : 0;
  config.lm_head_bias = s.objective == "prm";
  const std::string model = model_folder("base", config, 5);
  std::vector<std::string> given = options(s, "");
  given[0] = "--data.train=" + rows_of(kind_of(s.objective, given));
  std::vector<std::string> with_out = given;
  with_out.insert(with_out.end(), {"--out", at("out.safetensors"), "--grads"});
  const Json summary = numbers(model, with_out);
  const Tensors out(at("out.safetensors"));
  const Tensors weights(model + "/model.safetensors");
  for (const auto& [name, entry] : weights.header.items())
    EXPECT_EQ(out.shape("grad." + name), entry.at("shape").get<std::vector<int64_t>>()) << name;
  EXPECT_GT(squares(out, "grad."), 0) << summary.dump();
  if (s.objective == "ppo") {
    EXPECT_GT(squares(out, "grad.critic."), 0);
    EXPECT_TRUE(out.has("grad.critic.score.weight"));
  }
}

INSTANTIATE_TEST_SUITE_P(, LossOf, ::testing::ValuesIn(answers_settings()), [](const auto& each) {
  return fmt::format("{}_{}", each.param.objective, each.param.body);
});

TEST_F(LossCommand, WritesTheLogProbabilitiesWhereTheyAre) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data =
      rows(R"({"prompt_ids": [65, 66], "completion_ids": [70, 71, 72], "completion_mask": [1, 0, 1]}
{"prompt_ids": [65], "completion_ids": [73]}
{"prompt_ids": [65], "completion_ids": []}
{"prompt_ids": [65], "completion_ids": [70, 71, 72, 73, 74]}
)");
  const Json summary = numbers(model, {"--data.train=" + data, "--objective.name=sft",
                                       "--train.batch_size=3", "--out", at("out.safetensors")});
  const Tensors out(at("out.safetensors"));
  EXPECT_EQ(out.header.size(), 2U);
  EXPECT_EQ(out.shape("loss"), std::vector<int64_t>());
  ASSERT_EQ(out.shape("token_logps"), (std::vector<int64_t>{2, 4}));
  const std::vector<float> logps = out.of("token_logps");
  std::vector<bool> scored;
  double sum = 0;
  for (const float x : logps) {
    scored.push_back(x != 0);
    sum -= x;
  }
  // The token behind position t.
  EXPECT_EQ(scored, (std::vector<bool>{false, true, false, true, true, false, false, false}));
  EXPECT_NEAR(summary["loss"].get<double>(), sum / 3, 1e-6);
  EXPECT_NEAR(out.of("loss")[0], sum / 3, 1e-6);
  EXPECT_EQ(summary["trained_tokens"], 3);
  EXPECT_EQ(summary["sequences"], 2);
  EXPECT_EQ(summary["skipped"], Json({{"empty_answer", 1}}));
  EXPECT_TRUE(summary["metrics"].contains("entropy"));
  EXPECT_TRUE(summary["metrics"].contains("mean_token_accuracy"));
}

TEST_F(LossCommand, OfPairsHasAllChosenFirst) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data =
      rows(R"({"prompt_ids": [65, 66], "chosen_ids": [70, 71], "rejected_ids": [72]}
{"prompt_ids": [65], "chosen_ids": [73], "rejected_ids": [70, 71, 72]}
)");
  const Json summary = numbers(model, {"--data.train=" + data, "--objective.name=dpo",
                                       "--train.batch_size=2", "--out", at("out.safetensors")});
  EXPECT_NEAR(summary["loss"].get<double>(), std::log(2.0),
              1e-6);  // the model is its own reference
  EXPECT_EQ(summary["sequences"], 4);
  EXPECT_EQ(summary["trained_tokens"], 7);
  const Tensors out(at("out.safetensors"));
  ASSERT_EQ(out.shape("token_logps"), (std::vector<int64_t>{4, 3}));
  std::string marks;
  for (const float x : out.of("token_logps")) marks += x != 0 ? '1' : '0';
  EXPECT_EQ(marks,
            "011"
            "100"
            "010"
            "111");
}

TEST_F(LossCommand, OfAnEncoderDecoderIsAtTheTargets) {
  const std::string model = model_folder("base", model_config("encoder_decoder"), 5);
  const std::string data = rows(R"({"prompt_ids": [65, 66, 67, 68], "completion_ids": [70, 71]}
{"prompt_ids": [65], "completion_ids": [73, 74, 75]}
)");
  numbers(model, {"--data.train=" + data, "--objective.name=sft", "--train.batch_size=2", "--out",
                  at("out.safetensors")});
  const Tensors out(at("out.safetensors"));
  ASSERT_EQ(out.shape("token_logps"), (std::vector<int64_t>{2, 3}));
  std::string marks;
  for (const float x : out.of("token_logps")) marks += x != 0 ? '1' : '0';
  EXPECT_EQ(marks,
            "110"
            "111");
}

TEST_F(LossCommand, OfPackedRowsIsThatOfRows) {
  const std::string model = model_folder("base", teacher_config("decoder"), 5);
  for (const char* objective : {"sft", "dpo"}) {
    const std::string data =
        rows_file(objective == std::string("sft") ? ExampleKind::kSingle : ExampleKind::kPair);
    const std::vector<std::string> given = {"--data.train=" + data,
                                            std::string("--objective.name=") + objective,
                                            "--train.batch_size=12", "--train.seq_len=24", "--out"};
    std::vector<std::string> plain = given, packed = given;
    plain.push_back(at("plain.safetensors"));
    packed.push_back(at("packed.safetensors"));
    plain.emplace_back("--grads");
    packed.insert(packed.end(), {"--grads", "--data.packing=true"});
    const Json one = numbers(model, plain), other = numbers(model, packed);
    EXPECT_NEAR(other["loss"].get<double>(), one["loss"].get<double>(), 1e-6) << objective;
    EXPECT_EQ(other["trained_tokens"], one["trained_tokens"]);
    EXPECT_LT(other["sequences"].get<int>(), one["sequences"].get<int>()) << objective;
    const Tensors a(at("plain.safetensors")), b(at("packed.safetensors"));
    const auto sorted = [](std::vector<float> x) {
      std::erase(x, 0.0F);
      std::ranges::sort(x);
      return x;
    };
    const auto first = sorted(a.of("token_logps")), second = sorted(b.of("token_logps"));
    ASSERT_EQ(first.size(), second.size());
    for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(first[i], second[i], 1e-5);
    for (const auto& [name, entry] : a.header.items()) {
      if (!name.starts_with("grad.")) continue;
      const auto x = a.of(name), y = b.of(name);
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-5) << name;
    }
  }
}

TEST_F(LossCommand, OfRolloutsHasAdvantagesAndOfRewardsScores) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data = rows_of(ExampleKind::kRollout);
  numbers(model, {"--data.train=" + data, "--objective.name=grpo", "--train.batch_size=4", "--out",
                  at("out.safetensors")});
  const Tensors out(at("out.safetensors"));
  ASSERT_EQ(out.shape("advantages"), (std::vector<int64_t>{4, 4}));
  // Rewards 0, 1 | 4, 9; n − 1 under the root.
  const auto want = [](double off, double deviation) { return off / (deviation + 1e-4); };
  const std::vector<float> a = out.of("advantages");
  const double low = want(-0.5, std::sqrt(0.5)), high = want(-2.5, std::sqrt(12.5));
  const double expected[4] = {low, -low, high, -high};
  for (size_t s = 0; s < 4; ++s) {
    EXPECT_EQ(a[s * 4], 0);  // of the prompt
    for (size_t t = 1; t < 4; ++t) EXPECT_NEAR(a[s * 4 + t], expected[s], 1e-6);
  }
  const std::string judge = model_folder("judge", model_config("decoder", 1), 5);
  const Json summary =
      numbers(judge, {"--data.train=" + rows_file(ExampleKind::kPair), "--objective.name=reward",
                      "--train.batch_size=3", "--out", at("rewards.safetensors")});
  const Tensors scored(at("rewards.safetensors"));
  ASSERT_EQ(scored.shape("rewards"), std::vector<int64_t>{6});
  EXPECT_FALSE(scored.has("token_logps"));
  const std::vector<float> r = scored.of("rewards");
  double loss = 0;
  for (size_t i = 0; i < 3; ++i) loss += std::log1p(std::exp(-(double{r[i]} - r[i + 3]))) / 3;
  EXPECT_NEAR(summary["loss"].get<double>(), loss, 1e-6);
}

TEST_F(LossCommand, TakesARecipe) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data = rows_file(ExampleKind::kSingle);
  const Json want =
      numbers(model, {"--data.train=" + data, "--objective.name=sft", "--train.batch_size=5"});
  folder_.write("run.toml", "objective.name = \"sft\"\nmodel.from = \"" + model +
                                "\"\ndata.train = \"" + data +
                                "\"\n[train]\nbatch_size = 2\nprecision = \"bf16\"\n");
  EXPECT_EQ(numbers(at("run.toml"), {"--train.batch_size=5"}), want);
  EXPECT_NE(numbers(at("run.toml"), {})["loss"], want["loss"]);
}

TEST_F(LossCommand, SaysItToPeople) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data = rows(R"({"prompt_ids": [65], "completion_ids": [73]}
{"prompt_ids": [65], "completion_ids": []})");
  const CommandResult r =
      loss(model, {"--data.train=" + data, "--objective.name=sft", "--train.batch_size=2"});
  EXPECT_EQ(r.code, 0);
  for (const char* line : {"loss            5.", "\ntrained tokens  1\n", "\nsequences       1\n",
                           "\nentropy ", "\nskipped         1 empty_answer\n"})
    EXPECT_NE(r.out.find(line), std::string::npos) << line << " in\n" << r.out;
}

TEST_F(LossCommand, RefusesWhatCannotBeComputed) {
  const std::string model = model_folder("base", model_config("decoder"), 5);
  const std::string data =
      "--data.train=" + rows(R"({"prompt_ids": [65], "completion_ids": [73]})");
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(refusal(model, {data, "--objective.name=sft", "--grads"}),
         "[--grads] gradients are written to a file; add --out FILE, or leave it out");
  expect(
      refusal(model, {data, "--train.seq_len=24"}),
      "[objective.name] next_token learns from running text; here an objective over answers is needed, such "
      "as sft or dpo");
  expect(refusal(model, {"--objective.name=sft"}), "[data] train is missing");
  expect(refusal(model, {data, "--objective.name=dpo"}), ":1] 'chosen_ids' is missing");
  expect(refusal(at("nowhere"), {data, "--objective.name=sft"}), "nowhere");
  expect(refusal(model, {data, "--objective.name=sft", "--objective.beta=1"}), "beta");
  expect(refusal(model, {data, "--objective.name=distill"}), "teacher");
  expect(refusal(model, {data, "--objective.name=sft", "--out", at("no/such/out.safetensors")}),
         "no/such");
  const std::string judge = model_folder("judge", model_config("decoder", 1), 5);
  expect(refusal(judge, {data, "--objective.name=sft"}),
         "this model gives scores (1 of each text)");
  const std::string rollouts = rows(R"({"prompt_ids": [65], "completion_ids": [73], "reward": 1})");
  expect(refusal(model, {"--data.train=" + rollouts, "--objective.name=grpo"}),
         ":1] group 0 has 1 rollout(s), but an advantage compares at least 2 of one prompt");
  const std::string mixed =
      rows(R"({"prompt_ids": [65], "completion_ids": [73], "reward": 1, "old_logps": [-1]}
{"prompt_ids": [65], "completion_ids": [74], "reward": 0})");
  expect(
      refusal(model, {"--data.train=" + mixed, "--objective.name=grpo", "--train.batch_size=2"}),
      ":2] this row lacks 'old_logps' and others of its batch have it; give it for all rows or for none");
  const std::string critic = model_folder("critic", model_config("decoder", 2), 7);
  rows(R"({"prompt_ids": [65], "completion_ids": [73], "reward": 1})");
  expect(refusal(model, {"--data.train=" + rollouts, "--objective.name=ppo",
                         "--objective.critic=" + critic}),
         "a reward model or critic gives one score, but this one gives 2");
  expect(
      refusal(model, {data, "--objective.name=sft", "--data.replay=old"}),
      "[data.replay] lathe loss computes the loss of the rows of data.train alone; leave replay");
}

}  // namespace
}  // namespace lathe::testing
