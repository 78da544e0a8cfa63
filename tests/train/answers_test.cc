// Training on answers and on rollouts: exact resumption, learning, what is written.

#include <cmath>
#include <set>

#include "lathe/io/hash.h"
#include "lathe/io/manifest.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/load_model.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class Answers : public AnswersRun {};

class AnswersOf : public AnswersRun, public ::testing::WithParamInterface<AnswersSetting> {
 protected:
  double mean_of(const std::string& key, size_t from, size_t count) const {
    const std::vector<Json> lines = metrics();
    double sum = 0;
    for (size_t i = from; i < from + count; ++i) sum += lines.at(i).at(key).get<double>();
    return sum / static_cast<double>(count);
  }
};

TEST_P(AnswersOf, GivesTheSameBitsFromEveryStep) {
  expect_same_bits_from_every_step(read_recipe(answers_tree(GetParam())));
}

// The reference is asked once for each example: a run that goes on in a later epoch asks it again.
TEST_F(Answers, TheReferenceIsKeptOverEpochsToTheSameBits) {
  for (const char* name : {"dpo", "kto"}) {
    Json tree = answers_tree({name, "decoder"});
    tree["train"]["batch_size"] = 10;
    const Recipe r = read_recipe(tree);
    start_over();
    train(r);
    const auto unbroken = result();
    fs::remove_all(out() / "model");
    for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
      if (s > 3) fs::remove_all(checkpoint(s));
    train(r, TrainLoop::Start::kResume);
    EXPECT_EQ(result(), unbroken) << name;
  }
}

// A reward model above a language model: the score is part of the adapter.
TEST_F(Answers, AnAdapterOfARewardModelBeginsFromALanguageModel) {
  Json tree = answers_tree({"reward", "decoder"});
  tree["model"] = {{"from", model_folder("language", model_config("decoder"), 5)}};
  tree["adapter"] = {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}};
  tree["train"]["steps"] = 30;
  tree["optim"]["lr"] = 0.02;
  train(read_recipe(tree));
  EXPECT_LT(metrics().back()["loss"].get<double>(), 0.5 * metrics().front()["loss"].get<double>());
  EXPECT_NE(
      content_of(out() / "adapter/adapter_model.safetensors").find("base_model.model.score.weight"),
      std::string::npos);
  EXPECT_NE(content_of(out() / "adapter/adapter_config.json").find("SEQ_CLS"), std::string::npos);
}

// Keys that nothing would read, and what to do.
TEST_F(Answers, KeysWithoutEffectAreRefused) {
  const auto refusal = [&](const char* objective, const char* patch) {
    Json tree = answers_tree({objective, "decoder"});
    tree.merge_patch(Json::parse(patch));
    return error_text([&] { read_recipe(tree); });
  };
  const auto expect = [&](const char* objective, const std::string& keys, const std::string& want) {
    const std::string text = refusal(objective, (R"({"objective": {)" + keys + "}}").c_str());
    EXPECT_NE(text.find(want), std::string::npos) << keys << ": " << text;
  };
  for (const char* loss : {"hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero",
                           "apo_down", "discopop", "sigmoid_norm"})
    expect("dpo", fmt::format(R"("loss": "{}", "label_smoothing": 0.1)", loss),
           "[objective.label_smoothing] nothing reads it without loss = \"sigmoid\", \"robust\"");
  for (const char* loss :
       {"nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down"})
    expect("dpo", fmt::format(R"("loss": "{}", "f_divergence_type": "forward_kl")", loss),
           "[objective.f_divergence_type] nothing reads it without a loss of the difference");
  expect("dpo", R"("f_alpha_divergence_coef": 0.7, "f_divergence_type": "forward_kl")",
         "[objective.f_alpha_divergence_coef] nothing reads it without f_divergence_type = "
         "\"alpha_divergence\"; set that, or leave the key out");
  expect("dpo", R"("discopop_tau": 0.7)",
         "[objective.discopop_tau] nothing reads it without loss = \"discopop\"");
  expect("cpo", R"("simpo_gamma": 0.7)",
         "[objective.simpo_gamma] nothing reads it without loss = \"simpo\"");
  for (const char* loss : {"hinge", "ipo"})
    expect("cpo", fmt::format(R"("loss": "{}", "label_smoothing": 0.1)", loss),
           "[objective.label_smoothing] nothing reads it without loss = \"sigmoid\" or \"simpo\"");
  expect("distill", R"("jsd_beta": 0.7)",
         "[objective.jsd_beta] nothing reads it without divergence = \"jsd\"");
  for (
      const char* keys :
      {R"("discopop_tau": 0.7, "loss": "discopop")", R"("loss": "aot", "label_smoothing": 0.1)",
       R"("loss": "hinge", "f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.7)"})
    expect("dpo", keys, "no error");
  expect("cpo", R"("loss": "simpo", "simpo_gamma": 0.7, "label_smoothing": 0.1)", "no error");
  expect("distill", R"("divergence": "jsd", "jsd_beta": 0.7)", "no error");
  EXPECT_EQ(
      refusal("dpo", R"({"data": {"mask_history": true}})"),
      "[data.mask_history] says which answers of a conversation are learnt, but dpo learns from answers to "
      "one prompt; leave it out");
  EXPECT_EQ(refusal("kto", R"({"data": {"mask_history": true}})"), "no error");
  EXPECT_EQ(
      refusal("sft", R"({"train": {"sample_every": 3}, "data": {"tokenizer": "x"}})"),
      "[train.sample_every] sft learns from prompts and answers, of which its run writes no samples (lathe "
      "generate shows what the finished model answers); leave it out");
  EXPECT_EQ(
      refusal("sft", R"({"train": {"patience": 3}})"),
      "[train.patience] goes by the validation loss, and nothing is validated on; set data.valid, or "
      "leave it out");
}

// A critic above the policy's base, with an adapter of its own.
TEST_F(Answers, ACriticSharesTheBaseOfAnAdapter) {
  Json tree = answers_tree({"ppo", "decoder"});
  tree["objective"].erase("critic");
  tree["adapter"] = {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}};
  tree["optim"]["lr"] = 0.02;
  const Recipe r = read_recipe(tree);
  train(r);
  const auto everything = [&] {
    std::map<std::string, std::string> all;
    for (const char* file : {"rollouts.jsonl", "adapter/adapter_model.safetensors",
                             "critic/adapter_model.safetensors"})
      all[file] = content_of(out() / file);
    return all;
  };
  const auto unbroken = everything();
  EXPECT_LT(metrics().back()["value_loss"], metrics().front()["value_loss"]);
  for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
    if (s > 3) fs::remove_all(checkpoint(s));
  train(r, TrainLoop::Start::kResume);
  EXPECT_EQ(everything(), unbroken);

  // What it wrote begins another run's critic, and nothing of it is in the base.
  const fs::path critic = folder_ / "critic_adapter";
  fs::copy(out() / "critic", critic, fs::copy_options::recursive);
  tree["objective"]["critic"] = critic.string();
  const Recipe again = read_recipe(tree);
  start_over();
  train(again);
  EXPECT_NE(content_of(out() / "critic/adapter_model.safetensors"),
            unbroken.at("critic/adapter_model.safetensors"));
  EXPECT_NE(
      content_of(out() / "critic/adapter_model.safetensors").find("base_model.model.score.weight"),
      std::string::npos);

  tree["objective"].erase("critic");
  tree["train"]["precision"] = "bf16";
  start_over();
  train(read_recipe(tree));

  tree["adapter"]["peft_type"] = "ADALORA";
  tree["adapter"]["total_step"] = 10;
  start_over();
  try {
    train(read_recipe(tree));
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).find("or use adapter.peft_type = \"LORA\"") !=
                std::string::npos)
        << error.what();
  }
}

TEST_P(AnswersOf, LearnsWhatItIsFor) {
  Json tree = answers_tree(GetParam());
  const bool draws = tree.contains("reward");
  tree["train"]["steps"] = draws ? 60 : 40;
  tree["train"]["checkpoint_every"] = 0;
  tree["train"]["batch_size"] = draws ? 64 : 12;
  tree["optim"]["lr"] = 0.02;
  if (draws) tree["objective"]["max_completion_length"] = 1;
  train(read_recipe(tree));
  const auto last = static_cast<size_t>(draws ? 60 : 40) - 5;
  if (draws) {
    EXPECT_GT(mean_of("reward", last, 5), mean_of("reward", 0, 5) + 0.2);
    return;
  }
  EXPECT_LT(mean_of("loss", last, 5), mean_of("loss", 0, 5) - 0.01);
}

INSTANTIATE_TEST_SUITE_P(, AnswersOf, ::testing::ValuesIn(answers_settings()),
                         [](const auto& each) {
                           return fmt::format("{}_{}", each.param.objective, each.param.body);
                         });

struct AdapterSetting {
  std::string name, objective, keys;
  std::string precision = "fp32";
  bool four_bits = false;
};
std::ostream& operator<<(std::ostream& out, const AdapterSetting& s) { return out << s.name; }

std::vector<AdapterSetting> adapter_settings() {
  const char* lora =
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": "all-linear",
                         "lora_dropout": 0.1})";
  return {
      {"lora", "sft", lora},
      {"lora_bf16", "sft", lora, "bf16"},
      {"qlora", "sft", lora, "bf16", true},
      {"qlora_grpo", "grpo", lora, "fp32", true},
      {"qlora_reward", "reward", lora, "bf16", true},
      {"lora_dpo", "dpo", lora},
      {"lora_grpo", "grpo", lora},
      {"dora", "sft",
       R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": true, "target_modules": ["q_proj"]})"},
      {"adalora", "sft",
       R"({"peft_type": "ADALORA", "init_r": 4, "target_r": 2, "tinit": 1, "tfinal": 1, "deltaT": 1,
                             "total_step": 6, "target_modules": ["q_proj", "down_proj"]})"},
      {"adalora_bf16", "sft",
       R"({"peft_type": "ADALORA", "init_r": 4, "target_r": 2, "tinit": 1, "tfinal": 1, "deltaT": 1,
                             "total_step": 6, "target_modules": ["q_proj", "down_proj"]})",
       "bf16"},
      {"ia3", "sft",
       R"({"peft_type": "IA3", "target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]})"},
      {"prompt", "sft", R"({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3})"},
      {"p_tuning", "sft",
       R"({"peft_type": "P_TUNING", "num_virtual_tokens": 3, "encoder_hidden_size": 8})"},
      {"prefix", "sft", R"({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3})"},
  };
}

class AdapterOf : public Answers, public ::testing::WithParamInterface<AdapterSetting> {};

TEST_P(AdapterOf, LeavesTheBaseAloneAndResumesToTheSameBits) {
  Json tree = answers_tree({GetParam().objective, "decoder"}, "llama");
  tree["adapter"] = Json::parse(GetParam().keys);
  if (GetParam().four_bits) tree["model"].update({{"quantization", "nf4"}, {"double_quant", true}});
  tree["train"]["precision"] = GetParam().precision;
  tree["optim"]["lr"] = 0.02;
  const Recipe r = read_recipe(tree);
  const std::string base = content_of(folder_ / "base" / "model.safetensors");
  expect_same_bits_from_every_step(r, 2);
  EXPECT_FALSE(fs::exists(out() / "model"));
  EXPECT_TRUE(fs::exists(out() / "adapter" / "adapter_model.safetensors"));
  EXPECT_EQ(content_of(folder_ / "base" / "model.safetensors"), base);
}

TEST_P(AdapterOf, LearnsAndGoesOnFromItsFolder) {
  if (GetParam().objective != "sft") return;
  Json tree = answers_tree({"sft", "decoder"}, "llama");
  tree["adapter"] = Json::parse(GetParam().keys);
  if (tree["adapter"].contains("total_step")) tree["adapter"]["total_step"] = 40;
  if (GetParam().four_bits) tree["model"]["quantization"] = "nf4";
  tree["train"]["precision"] = GetParam().precision;
  tree["train"]["steps"] = 40;
  tree["train"]["checkpoint_every"] = 0;
  tree["train"]["batch_size"] = 12;
  tree["optim"]["lr"] = 0.1;
  train(read_recipe(tree));
  const auto losses = [this] {
    std::vector<double> all;
    for (const Json& line : metrics()) all.push_back(line.at("loss").get<double>());
    return all;
  };
  const std::vector<double> first = losses();
  EXPECT_LT(first.back(), first.front() - 0.01);
  fs::rename(out(), folder_ / "first");
  tree["adapter"] = {{"from", (folder_ / "first" / "adapter").string()}};
  tree["train"]["steps"] = 1;
  if (GetParam().name.starts_with("adalora")) return;  // its schedule is over
  train(read_recipe(tree));
  EXPECT_LT(losses().front(), first.front() - 0.005);
}

INSTANTIATE_TEST_SUITE_P(, AdapterOf, ::testing::ValuesIn(adapter_settings()),
                         [](const auto& each) { return each.param.name; });

TEST_F(Answers, AccumulationGivesTheGradientOfOneBatch) {
  for (const char* name :
       {"sft", "dpo", "cpo", "distill", "grpo", "rloo", "ppo", "reinforce_pp", "online_dpo"}) {
    Json tree = answers_tree({name, "decoder"});
    tree["train"]["steps"] = 1;
    tree["data"]["order"] = "sequential";
    std::vector<double> loss, norm;
    for (const int64_t micro : {24, 8, 4}) {
      if (tree.contains("reward") && micro == 24) continue;
      start_over();
      tree["train"]["batch_size"] = micro;
      tree["train"]["grad_accumulation"] = (tree.contains("reward") ? 8 : 24) / micro;
      train(read_recipe(tree));
      loss.push_back(metrics()[0].at("loss").get<double>());
      norm.push_back(metrics()[0].at("grad_norm").get<double>());
    }
    for (size_t i = 1; i < loss.size(); ++i) {
      EXPECT_NEAR(loss[i], loss[0], 1e-5 * std::max(1.0, std::abs(loss[0]))) << name;
      EXPECT_NEAR(norm[i], norm[0], 1e-4 * norm[0]) << name;
    }
  }
}

TEST_F(Answers, Bf16IsNearFp32) {
  for (const AnswersSetting& s : answers_settings()) {
    Json tree = answers_tree(s);
    tree["train"]["steps"] = 1;
    if (tree.contains("reward")) continue;  // draws other answers
    double norm[2];
    for (const bool half : {false, true}) {
      start_over();
      tree["train"]["precision"] = half ? "bf16" : "fp32";
      train(read_recipe(tree));
      norm[half] = metrics()[0].at("grad_norm").get<double>();
    }
    EXPECT_NEAR(norm[1], norm[0], 0.05 * norm[0]) << s;
  }
}

TEST_F(Answers, RolloutsAreRecordedAsTheModelDrewThem) {
  Json tree = answers_tree({"grpo", "decoder"});
  train(read_recipe(tree));
  const std::vector<Json> lines = rollouts();
  ASSERT_EQ(lines.size(), 6U * 8U);
  for (const Json& line : lines) {
    EXPECT_EQ(line.at("completion_ids").size(), line.at("old_logps").size());
    const auto text = line.at("completion").get<std::string>();
    bool in_pattern = !text.empty();
    for (const char c : text) in_pattern = in_pattern && c >= ' ' && c <= 'P';
    EXPECT_EQ(line.at("reward").get<double>(), in_pattern ? 1 : 0) << line.dump();
  }
  for (const Json& line : metrics())
    EXPECT_LT(line.at("sampling/logp_difference_max").get<double>(), 1e-5);
}

TEST_F(Answers, AVerifierThatFailsIsCounted) {
  Json tree = answers_tree({"grpo", "decoder"});
  tree["train"]["steps"] = 1;
  tree["reward"] = {{"command", "read a; echo 1; read a; echo 0; read a; echo nan"},
                    {"timeout", 5}};
  train(read_recipe(tree));
  EXPECT_EQ(metrics()[0].at("reward_failures").get<double>(), 2);  // two of eight answers
  EXPECT_NE(log_.find("said 'nan' instead of a finite number"), std::string::npos) << log_;
  int failed = 0;
  for (const Json& line : rollouts())
    if (line.contains("failed")) {
      ++failed;
      EXPECT_NEAR(line.at("advantage").get<double>(), 0, 1e-9);
    }
  EXPECT_EQ(failed, 2);
}

TEST_F(Answers, AVerifierThatNeverAnswersEndsTheRunInWords) {
  Json tree = answers_tree({"grpo", "decoder"});
  for (const char* command : {"exit 3", "sleep 100", "/nowhere/at/all"}) {
    start_over();
    tree["reward"] = {{"command", command}, {"timeout", 0.05}};
    const std::string text = error_text([&] { train(read_recipe(tree)); });
    EXPECT_NE(
        text.find(
            "[reward.command] the verifier gave no finite number for 8 of the 8 rollouts of step 1"),
        std::string::npos)
        << text;
  }
}

// Its weights, and scores that begin small and random in place of its head.
TEST_F(Answers, ARewardModelBeginsFromALanguageModel) {
  const fs::path language = model_folder("language", model_config("decoder"), 9);
  Json tree = answers_tree({"reward", "decoder"});
  tree["model"]["from"] = language.string();
  tree["train"]["steps"] = 1;
  tree["optim"]["lr"] = 1e-30;
  train(read_recipe(tree));
  EXPECT_NE(log_.find(language.string() +
                      " predicts tokens: it gets 1 score(s) for each text in place of its "
                      "output head"),
            std::string::npos)
      << log_;
  const auto before = load_model(language, {}), after = load_model(out() / "model", {});
  std::map<std::string, Tensor> theirs;
  for (const Parameter* p : before->parameters()) theirs[p->name] = p->value.tensor();
  for (const Parameter* p : after->parameters()) {
    const std::vector<double> values = p->value.tensor().to_vector();
    if (theirs.contains(p->name)) {
      EXPECT_EQ(values, theirs[p->name].to_vector()) << p->name;
      continue;
    }
    EXPECT_EQ(p->name, "score.weight");
    EXPECT_EQ(p->shape, Shape({1, 16}));
    EXPECT_NE(values, std::vector<double>(16, 0.0));
  }
  EXPECT_FALSE(theirs.contains("score.weight"));
  EXPECT_TRUE(SafetensorsReader(out() / "model").find("score.weight") != nullptr);
  EXPECT_EQ(read_model_config(out() / "model").num_labels, 1);
  // It can be the critic of the next run, and cannot be its policy.
  fs::rename(out() / "model", folder_ / "judge");
  start_over();
  tree = answers_tree({"ppo", "decoder"});
  tree["train"]["steps"] = 1;
  tree["objective"]["critic"] = (folder_ / "judge").string();
  train(read_recipe(tree));
  EXPECT_TRUE(fs::exists(out() / "critic" / "model.safetensors"));
  start_over();
  tree = answers_tree({"grpo", "decoder"});
  tree["model"]["from"] = (folder_ / "judge").string();
  EXPECT_NE(error_text([&] {
              train(read_recipe(tree));
            }).find("this model gives scores (1 of each text)"),
            std::string::npos);
}

TEST_F(Answers, EmbeddingNoiseIsThereInTrainingAloneAndResumesToTheSameBits) {
  for (const char* adapter :
       {"", R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]})"}) {
    Json tree = answers_tree({"sft", "decoder"}, "llama");
    tree["data"]["valid"] = tree["data"]["train"];
    if (*adapter != 0) tree["adapter"] = Json::parse(adapter);
    // Nothing learns, so that only noise can change a loss.
    tree["optim"]["lr"] = 0;
    const auto losses = [&](double alpha, const char* key) {
      start_over();
      tree["train"]["neftune_noise_alpha"] = alpha;
      train(read_recipe(tree));
      std::vector<double> all;
      for (const Json& line : metrics())
        if (line.contains(key)) all.push_back(line.at(key).get<double>());
      return all;
    };
    EXPECT_EQ(losses(0, "val_loss"), losses(5, "val_loss"));
    const std::vector<double> quiet = losses(0, "loss"), noisy = losses(5, "loss");
    for (size_t i = 0; i < quiet.size(); ++i) EXPECT_NE(quiet[i], noisy[i]);
    EXPECT_EQ(losses(5, "loss"), noisy);
    tree["optim"]["lr"] = 0.01;
    losses(5, "loss");
    const auto unbroken = result();
    for (const char* made : {"model", "adapter"}) fs::remove_all(out() / made);
    for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
      if (s > 2) fs::remove_all(checkpoint(s));
    train(read_recipe(tree), TrainLoop::Start::kResume);
    EXPECT_EQ(result(), unbroken);
  }
}

// What a manifest of a run in `folder` names, as "kind path"; each with the hash of what is there.
std::set<std::string> named_inputs(const fs::path& folder) {
  std::set<std::string> named;
  for (const ArtefactRef& input : read_manifest(manifest_path(folder, true)).inputs) {
    EXPECT_EQ(input.hash, hash_artefact(input.path)) << input.path;
    named.insert(input.kind + " " + input.path);
  }
  return named;
}

TEST_F(Answers, TheManifestNamesAllThatTheRunReads) {
  const auto at = [&](const char* name) { return (folder_ / name).string(); };
  Json tree = answers_tree({"dpo", "decoder"}, "llama");
  model_folder("other", model_config("decoder"), 8);
  fs::copy_file(at("rows.jsonl"), at("held.jsonl"));
  tree["objective"]["reference"] = at("other");
  tree["data"]["valid"] = {"held=" + at("held.jsonl")};
  tree["data"]["tokenizer"] = at("other");
  tree["adapter"] = Json::parse(R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]})");
  tree["train"]["steps"] = 1;
  train(read_recipe(tree));
  const std::set<std::string> all = {"rows " + at("rows.jsonl"), "rows " + at("held.jsonl"),
                                     "model " + at("base"), "reference " + at("other"),
                                     "tokenizer " + at("other")};
  EXPECT_EQ(named_inputs(out() / "adapter"), all);
  EXPECT_EQ(named_inputs(checkpoint(1)), all);
  EXPECT_FALSE(fs::exists(checkpoint(1) / "config.json"));  // as docs/formats.md says

  fs::rename(out() / "adapter", folder_ / "first");
  start_over();
  tree["adapter"] = {{"from", at("first")}};
  train(read_recipe(tree));
  EXPECT_TRUE(named_inputs(out() / "adapter").contains("adapter " + at("first")));

  start_over();
  tree = answers_tree({"ppo", "decoder"});
  tree["train"]["steps"] = 1;
  train(read_recipe(tree));
  EXPECT_EQ(named_inputs(out() / "model"),
            std::set<std::string>(
                {"rows " + at("rows.jsonl"), "model " + at("base"), "critic " + at("critic")}));
  start_over();
  tree = answers_tree({"distill", "decoder"});
  tree["train"]["steps"] = 1;
  train(read_recipe(tree));
  EXPECT_TRUE(named_inputs(out() / "model").contains("teacher " + at("teacher")));
}

TEST_F(Answers, RefusesWhatCannotWork) {
  const auto refusal = [&](const char* objective, const char* patch) {
    Json tree = answers_tree({objective, "decoder"}, "llama");
    tree.merge_patch(Json::parse(patch));
    start_over();
    return error_text([&] { train(read_recipe(tree)); });
  };
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(
      refusal("grpo", R"({"objective": {"num_generations": 3}})"),
      "[objective.num_generations] 8 rollouts of a step (train.batch_size x grad_accumulation) are no whole "
      "number of groups of 3");
  expect(
      refusal("grpo", R"({"reward": null})"),
      "[reward.functions] nothing gives a reward; name functions (exact_match …), a model or a command");
  expect(refusal("grpo", R"({"reward": {"pattern": "("}})"),
         "[reward.pattern] '(' is not a regular expression");
  expect(refusal("grpo", R"({"reward": {"weights": [1, 2]}})"),
         "[reward.weights] 2 weights for 1 rewards; give one for each");
  expect(refusal("sft", R"({"reward": {"functions": ["ended"]}})"),
         "[reward] sft learns from what stands in its data, so there is nothing to reward");
  expect(refusal("sft", R"({"data": {"document_mask": true}})"), "[data.document_mask]");
  expect(refusal("dpo", R"({"objective": {"loss": "exo_pair"}})"),
         "[objective.label_smoothing] exo_pair takes its logarithm");
  expect(refusal("sft", R"({"objective": {"beta": 0.1}})"), "unknown key 'beta'");
  expect(
      refusal("grpo", R"({"train": {"neftune_noise_alpha": 5}})"),
      "[train.neftune_noise_alpha] is for objectives over given answers, such as sft; grpo compares");
  expect(refusal("sft", R"({"model": {"quantization": "nf4"}})"),
         "[model.quantization] weights in four bits cannot be trained; add a section [adapter]");
  expect(refusal("sft", R"({"model": {"double_quant": true}})"), "[model.double_quant]");
  expect(refusal("sft", R"({"adapter": {"peft_type": "LORRA"}})"), "LORA");
  expect(refusal("sft", R"({"adapter": {"peft_type": "LORA", "target_modules": ["nowhere"]}})"),
         "nowhere");
  expect(refusal("sft", R"({"adapter": {"from": "/nowhere"}})"), "/nowhere");
  expect(refusal("sft", R"({"adapter": {"peft_type": "ADALORA", "target_modules": ["q_proj"]}})"),
         "[adapter.total_step] is not set");
  expect(
      refusal("kto", R"({"train": {"batch_size": 1}})"),
      "[train.batch_size] kto compares each prompt with the answer of another row of its batch, so that a batch "
      "of 1 teaches nothing; use 2 or more, and objective.loss = \"apo_zero_unpaired\" for one row at a time");
  EXPECT_EQ(
      refusal("kto", R"({"train": {"batch_size": 1}, "objective": {"loss": "apo_zero_unpaired"}})"),
      "no error");
}

}  // namespace
}  // namespace lathe::testing
