// Tiny training runs.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"
#include "lathe/base/rng.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/train/train_loop.h"

namespace lathe::testing {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

inline constexpr int64_t kVocabulary = 13;

using Documents = std::vector<std::vector<int32_t>>;

inline std::string write_shard(const fs::path& prefix, const Documents& documents,
                               int64_t vocabulary = kVocabulary) {
  TokenShardWriter writer(prefix, vocabulary);
  for (const auto& d : documents) writer.add_document(d);
  writer.finish();
  return prefix.string();
}

// Documents of 1 to 20 tokens that are easy to learn: each token is the one before plus the step of
// its document.
inline Documents counting_documents(int64_t tokens, uint64_t seed) {
  Documents all;
  for (uint64_t i = 0; tokens > 0; ++i) {
    const Rng rng = Rng(seed).fork(i);
    std::vector<int32_t> d;
    const auto length = static_cast<int64_t>(1 + rng.below(0, 20));
    for (int64_t t = 0; t < length; ++t)
      d.push_back(static_cast<int32_t>(
          (rng.below(1, 13) + static_cast<uint64_t>(t) * (1 + rng.below(2, 3))) % 13));
    tokens -= length;
    all.push_back(std::move(d));
  }
  return all;
}

struct PlainRows {
  int64_t batch_size = 1, seq_len = 1, vocab_size = 0;
  bool shuffle = true, document_mask = false;
  Rng rng{0};
};
// Of one shard, which outlives the loader: the text itself, with the next token as label.
inline DataLoader plain_loader(const TokenShard& shard, const PlainRows& o) {
  const Objective& next_token = find_in(objectives(), "objective.name", "next_token");
  return {
      SampleSource({&shard}, {}, {.seq_len = o.seq_len, .shuffle = o.shuffle, .rng = o.rng}),
      next_token.format({.seq_len = o.seq_len}, next_token.config()),
      {.batch_size = o.batch_size, .vocab_size = o.vocab_size, .document_mask = o.document_mask}};
}

class Run : public ::testing::Test {
 protected:
  Run() {
    recipe_ = Json::parse(R"({
      "model": {"vocab_size": 13, "hidden_size": 16, "num_hidden_layers": 2,
                "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24,
                "max_position_embeddings": 32},
      "data": {},
      "train": {"steps": 6, "batch_size": 2, "seq_len": 8, "precision": "fp32", "eval_every": 0,
                "checkpoint_every": 1, "keep_last": 100},
      "optim": {"lr": 0.01},
      "schedule": {"warmup_steps": 2}})");
    recipe_["data"]["train"] = write_shard(folder_ / "train", counting_documents(500, 1));
    recipe_["data"]["valid"] = write_shard(folder_ / "valid", counting_documents(100, 2));
    recipe_["train"]["out"] = (folder_ / "out").string();
  }

  Recipe recipe(const char* patch = "{}") const {
    Json tree = recipe_;
    tree.merge_patch(Json::parse(patch));
    return read_recipe(tree);
  }
  TrainCallbacks logging() {
    TrainCallbacks callbacks;
    callbacks.log = Log([this](LogLevel, const std::string& text) { log_ += text + "\n"; });
    return callbacks;
  }
  // Asks for a stop once `step` was taken.
  static TrainCallbacks stopping_after(int64_t step) {
    const auto taken = std::make_shared<int64_t>(0);
    TrainCallbacks callbacks;
    callbacks.on_step = [taken](const StepReport& r) { *taken = r.step; };
    callbacks.should_stop = [taken, step] { return *taken == step; };
    return callbacks;
  }
  void train(const Recipe& r, TrainLoop::Start start = TrainLoop::Start::kFresh) {
    TrainLoop(r, logging()).run(start);
  }
  fs::path out() const { return folder_ / "out"; }
  std::string checkpoint_name(int64_t step) const {
    return CheckpointStore(out() / "checkpoints").path_of(step).filename().string();
  }
  fs::path checkpoint(int64_t step) const { return out() / "checkpoints" / checkpoint_name(step); }

  // What a run computed: metrics without timings, the bytes of its weights and optimiser.
  std::map<std::string, std::string> result() const {
    std::map<std::string, std::string> all;
    for (const Json& line : metrics()) {
      Json kept = line;
      for (const char* key : {"tokens_per_s", "step_ms", "memory_mib"}) kept.erase(key);
      all["metrics"] += kept.dump() + "\n";
    }
    all["model"] = content_of(out() / "model" / "model.safetensors");
    const auto steps = CheckpointStore(out() / "checkpoints").steps();
    if (steps.empty()) return all;
    for (const char* file : {"model.safetensors", "optimizer.safetensors"})
      all[file] = content_of(checkpoint(steps.back()) / file);
    return all;
  }
  // result() of a run of its own.
  std::map<std::string, std::string> trained(const char* patch) {
    start_over();
    train(recipe(patch));
    return result();
  }
  std::vector<Json> metrics() const {
    std::vector<Json> lines;
    std::ifstream in(out() / "metrics.jsonl");
    for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
    return lines;
  }
  void start_over() { fs::remove_all(out()); }

  TempFolder folder_;
  Json recipe_;
  std::string log_;
};

// Every objective over text with every body that it trains, as changes to the recipe. The vocabulary has room
// for sentinels and a mask after the 13 tokens of the text.
inline std::vector<std::pair<std::string, std::string>> body_patches() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& o : objectives())
    for (const std::string_view body : o.bodies) {
      if (o.answers != nullptr) continue;  // train/answers_run.h
      Json patch = {{"model",
                     {{"model_type", "lathe"},
                      {"body", std::string(body)},
                      {"vocab_size", 20},
                      {"pad_token_id", 13}}},
                    {"objective", {{"name", std::string(o.name)}, {"sentinels", 6}}}};
      if (o.name == "masked_lm") patch["objective"]["mask_token_id"] = 14;
      all.emplace_back(fmt::format("{}_{}", o.name, body), patch.dump());
    }
  return all;
}

inline void damage(const fs::path& file, size_t at) {
  std::string content = content_of(file);
  content.at(at) = static_cast<char>(content[at] ^ 0x04);
  std::ofstream(file, std::ios::binary) << content;
}

inline void truncate(const fs::path& file, double part) {
  fs::resize_file(file, static_cast<uintmax_t>(static_cast<double>(fs::file_size(file)) * part));
}

}  // namespace lathe::testing
