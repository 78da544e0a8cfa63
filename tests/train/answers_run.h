// Tiny training runs of objectives over answers.
#pragma once

#include "lathe/config/read_write.h"
#include "lathe/model/folder.h"
#include "lathe/train/objective/answer_objective.h"
#include "text/sample_json.h"
#include "train/run.h"

namespace lathe::testing {

// Every objective over answers with every body that it trains.
struct AnswersSetting {
  std::string objective, body;
};
inline std::ostream& operator<<(std::ostream& out, const AnswersSetting& s) {
  return out << s.objective << "_" << s.body;
}
inline std::vector<AnswersSetting> answers_settings() {
  std::vector<AnswersSetting> all;
  for (const auto& o : objectives()) {
    if (o.answers == nullptr) continue;
    for (const std::string_view body : o.bodies) {
      // Scores instead of a head are there for decoders only.
      const bool scores = o.name == "reward" || o.name == "ppo" || o.name == "prm";
      if (scores && body != "decoder") continue;
      all.push_back({std::string(o.name), std::string(body)});
    }
  }
  return all;
}

class AnswersRun : public Run {
 protected:
  static constexpr int64_t kTokens = kSampleSize + 2;
  static constexpr int64_t kEnd = kSampleSize;

  static ModelConfig model_config(const std::string& body, int64_t labels = 0) {
    ModelConfig c;
    c.model_type = "lathe";
    c.body = body;
    c.vocab_size = kTokens;
    c.hidden_size = 16;
    c.num_hidden_layers = 2;
    c.num_attention_heads = 2;
    c.intermediate_size = 24;
    c.max_position_embeddings = 64;
    c.eos_token_id = kEnd;
    c.decoder_start_token_id = kEnd + 1;
    c.num_labels = labels;
    return c;
  }

  // Of which activations take more than the program does.
  static ModelConfig larger_config() {
    ModelConfig c = model_config("decoder");
    c.hidden_size = 128;
    c.intermediate_size = 384;
    c.num_hidden_layers = 8;
    c.vocab_size = 4096;
    c.max_position_embeddings = 512;
    return c;
  }

  static ModelConfig of_family(const std::string& family, ModelConfig config) {
    config.model_type = family;
    if (family != "lathe")
      config.initializer_range = 0.5;  // for what only scales or shifts what is there
    return config;
  }
  // It has opinions: its distributions are far from uniform.
  static ModelConfig teacher_config(const std::string& body) {
    ModelConfig c = model_config(body);
    c.initializer_range = 0.5;
    return c;
  }

  // A model of random weights with a tokenizer of bytes.
  std::string model_folder(const std::string& name, const ModelConfig& config, uint64_t seed) {
    Transformer model(config);
    model.allocate(DType::kF32);
    model.initialize(Rng(seed));
    fs::create_directories(folder_ / name);
    save_model(model, folder_ / name, {});
    folder_.write(name + "/tokenizer.json", sample_json({}));
    return (folder_ / name).string();
  }

  // Rows of what the objective learns from, easy ones.
  std::string rows_file(ExampleKind kind) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      const Rng rng = Rng(77).fork(static_cast<uint64_t>(i));
      const auto ids = [&](uint64_t from, int length) {
        std::vector<int> list;
        for (int t = 0; t < length; ++t)
          list.push_back(static_cast<int>(65 + rng.below(from + static_cast<uint64_t>(t), 9)));
        return list;
      };
      Json row = {{"prompt_ids", ids(0, 1 + i % 4)}};
      const int length = 1 + i % 5;
      if (kind == ExampleKind::kSteps) {
        const bool right = i % 2 == 0;
        std::vector<int> first = ids(50, length), second = ids(60, 2);
        first.push_back(right ? 70 : 71);
        second.push_back(70);
        row["steps_ids"] = {first, second};
        row["labels"] = {right, true};
      } else if (kind == ExampleKind::kRanking && i % 3 == 0) {
        row["answers_ids"] = {std::vector<int>(static_cast<size_t>(length), 70), ids(50, 1 + i % 3),
                              ids(30, 4)};
      } else if (kind == ExampleKind::kPair || kind == ExampleKind::kRanking) {
        row["chosen_ids"] = std::vector<int>(static_cast<size_t>(length), 70);
        row["rejected_ids"] = ids(50, 1 + i % 3);
      } else {
        row["completion_ids"] = std::vector<int>(static_cast<size_t>(length), 70 + i % 2);
      }
      if (kind == ExampleKind::kLabelled) row["label"] = i % 2 == 0;
      text += row.dump() + "\n";
    }
    return folder_.write("rows.jsonl", text).string();
  }

  std::vector<Json> rollouts() const {
    std::vector<Json> lines;
    std::ifstream in(out() / "rollouts.jsonl");
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  // result() and what a task leaves beside it.
  std::map<std::string, std::string> everything() const {
    auto all = result();
    for (const char* file :
         {"rollouts.jsonl", "critic/model.safetensors", "critic/adapter_model.safetensors",
          "adapter/adapter_model.safetensors", "adapter/adapter_config.json"})
      if (fs::exists(out() / file)) all[file] = content_of(out() / file);
    return all;
  }
  // Trains, and then goes on from every `stride`th step.
  void expect_same_bits_from_every_step(const Recipe& r, int64_t stride = 1) {
    train(r);
    const auto unbroken = everything();
    fs::rename(out(), folder_ / "unbroken");
    for (int64_t step = 1; step < r.train.steps; step += stride) {
      start_over();
      fs::copy(folder_ / "unbroken", out(), fs::copy_options::recursive);
      fs::remove_all(out() / (r.adapter ? "adapter" : "model"));
      for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
        if (s > step) fs::remove_all(checkpoint(s));
      train(r, TrainLoop::Start::kResume);
      EXPECT_EQ(everything(), unbroken) << "resumed after step " << step;
    }
  }

  // The recipe of a setting: fp32, six steps.
  Json answers_tree(const AnswersSetting& s, const std::string& family = "lathe") {
    const auto& entry = find_in(objectives(), "objective.name", s.objective);
    const bool scores = s.objective == "reward";
    Json tree = recipe_;
    tree["model"] = {
        {"from", model_folder("base", of_family(family, model_config(s.body, scores ? 1 : 0)), 5)}};
    tree["objective"] = {{"name", s.objective}};
    if (s.objective == "distill")
      tree["objective"]["teacher"] = model_folder("teacher", teacher_config(s.body), 6);
    if (s.objective == "ppo")
      tree["objective"]["critic"] = model_folder("critic", model_config(s.body, 1), 7);
    const auto objective =
        entry.answers(read_objective(tree["objective"]).components.of(s.objective));
    const bool draws = objective->rollouts() != nullptr;
    tree["data"] = {{"train", rows_file(draws ? ExampleKind::kSingle : objective->needs().kind)}};
    tree["train"]["batch_size"] = draws ? 8 : 3;
    tree["train"]["seq_len"] = 24;
    if (draws) {
      tree["objective"]["num_generations"] = 4;
      tree["objective"]["max_completion_length"] = 3;
      tree["reward"] = {{"functions", {"format"}}, {"pattern", "[ -P]+"}};
    }
    return tree;
  }
  static ObjectiveConfig read_objective(const Json& section) {
    ObjectiveConfig config;
    read_config(config, section, "objective");
    return config;
  }
};

}  // namespace lathe::testing
