// --adapter and --steering in lathe logits, generate, export and merge.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Adapters : public ::testing::Test {
 protected:
  static std::string golden(const std::string& name) {
    return (fs::path(LATHE_TEST_DIR) / "model" / "goldens" / name).string();
  }
  Adapters() {
    write_json_file(folder_ / "in.json", {{"input_ids", {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}}}});
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  CommandResult run(const std::string& command, const std::string& model,
                    std::vector<std::string> options) {
    options.insert(options.begin(), {command, model});
    return run_lathe(options);
  }
  std::vector<float> logits(const std::string& model, std::vector<std::string> options = {}) {
    options.insert(options.end(), {"--input", file("in.json"), "--out", file("out.st")});
    const CommandResult r = run("logits", model, options);
    EXPECT_EQ(r.code, 0) << r.err;
    std::vector<float> values;
    const SafetensorsReader reader(file("out.st"));
    const auto bytes = reader.find("logits")->bytes;
    values.resize(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  std::string tokens(const std::string& model, std::vector<std::string> options = {}) {
    options.insert(options.end(), {"--input", file("in.json"), "--max-new-tokens", "8",
                                   "--temperature", "0", "--ignore-eos", "--json"});
    const CommandResult r = run("generate", model, options);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? Json::parse(r.out)["output_ids"].dump() : "";
  }
  static double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = a.size() == b.size() ? 0 : HUGE_VAL;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
      largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
    return largest;
  }

  const TempFolder folder_;
};

TEST_F(Adapters, AMergedModelIsTheModelWithItsAdapters) {
  const std::string model = golden("llama/model"), one = golden("adapters/llama"),
                    two = golden("adapters/llama-patterns");
  const std::vector<std::string> both = {"--adapter", one, "--adapter", two};
  const CommandResult merged =
      run("merge", model, {"--adapter", one, "--adapter", two, "--out", file("merged"), "--json"});
  ASSERT_EQ(merged.code, 0) << merged.err;
  EXPECT_FALSE(Json::parse(merged.out)["untied"].get<bool>());
  EXPECT_LE(difference(logits(model, both), logits(file("merged"))), 2e-5);
  EXPECT_GT(difference(logits(model, both), logits(model, {"--adapter", one})), 0.1);
  EXPECT_EQ(tokens(model, both), tokens(file("merged")));
  EXPECT_NE(tokens(model, both), tokens(model));
  const CommandResult exported =
      run("export", model, {"--adapter", one, "--adapter", two, "--out", file("exported")});
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(logits(file("exported")), logits(file("merged")));
}

TEST_F(Adapters, AHeadThatTheAdapterPartsFromItsTableIsUntied) {
  const std::string model = golden("gemma2/model"), adapter = golden("adapters/gemma2");
  const CommandResult merged =
      run("merge", model, {"--adapter", adapter, "--out", file("merged"), "--json"});
  ASSERT_EQ(merged.code, 0) << merged.err;
  EXPECT_TRUE(Json::parse(merged.out)["untied"].get<bool>());
  EXPECT_EQ(read_json_file(folder_ / "merged" / "config.json")["tie_word_embeddings"], false);
  EXPECT_LE(difference(logits(model, {"--adapter", adapter}), logits(file("merged"))), 2e-5);
}

TEST_F(Adapters, ActOnAGgufBase) {
  const std::string model = golden("llama/model"), adapter = golden("adapters/llama-patterns");
  ASSERT_EQ(run("quantize", model, {"--type", "F32", "--out", file("f.gguf")}).code, 0);
  EXPECT_EQ(logits(file("f.gguf"), {"--adapter", adapter}), logits(model, {"--adapter", adapter}));
  EXPECT_EQ(tokens(file("f.gguf"), {"--adapter", adapter, "--weights", "native"}),
            tokens(model, {"--adapter", adapter}));
}

TEST_F(Adapters, SteeringHasAScaleAndLayers) {
  const std::string model = golden("llama/model"), vectors = golden("steering/llama/vectors.gguf");
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--steering", vectors});
    return logits(model, more);
  };
  const auto plain = logits(model), all = with({});
  EXPECT_GT(difference(plain, all), 0.1);
  EXPECT_EQ(with({"--steering-scale", "0"}), plain);
  EXPECT_EQ(with({"--steering-layers", "0-1"}), all);
  EXPECT_GT(difference(with({"--steering-layers", "1"}), all), 0.1);
  EXPECT_NE(tokens(model, {"--steering", vectors, "--steering-scale", "3"}), tokens(model));
}

TEST_F(Adapters, WhatDoesNotFitSaysWhatToDo) {
  const auto error = [&](const std::string& model, std::vector<std::string> options,
                         const std::string& part) {
    options.insert(options.end(), {"--input", file("in.json"), "--out", file("out.st")});
    const CommandResult r = run("logits", golden(model), options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
  };
  error("gpt2/model", {"--adapter", golden("adapters/llama")}, "give that model, or an adapter");
  error("llama/model", {"--adapter", golden("llama/model")}, "adapter_config.json");
  error("llama/model", {"--adapter", file("nowhere")},
        "nowhere] the folder does not exist; give the folder of an adapter, as PEFT saves it");
  error("llama/model", {"--adapter", golden("llama/model/config.json")}, "is not a folder");
  error("llama/model", {"--adapter", golden("adapters/llama"), "--grads"}, "leave out --grads");
  const std::string vectors = golden("steering/llama/vectors.gguf");
  error("llama/model", {"--steering-layers", "1"}, "has no effect without --steering");
  error("llama/model", {"--steering", vectors, "--steering-layers", "1-9"}, "the last layer is 1");
  for (const char* layers : {"a", "3-1", "1-", "-1", "1-2-3", "1,2"})
    error("llama/model", {"--steering", vectors, "--steering-layers=" + std::string(layers)},
          "is not a range of layers");
  const std::vector<float> wide(5, 1.0f);
  write_safetensors(file("wide"), std::vector<ArraySpan>{
                                      {"direction.0", "F32", {5}, std::as_bytes(std::span(wide))}});
  error("llama/model", {"--steering", file("wide")}, "give that one, or vectors of this one");
  const CommandResult r = run("merge", golden("llama/model"), {"--out", file("m")});
  EXPECT_NE(r.err.find("name at least one with --adapter"), std::string::npos) << r.err;
}

}  // namespace
}  // namespace lathe
