// --adapter and --steering in lathe logits, generate, export and merge.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Adapters : public ::testing::Test {
 protected:
  static std::string golden(const std::string& name) {
    return (testing::tests_folder() / "model" / "goldens" / name).string();
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

// What tools/make_adapter_goldens.py had PEFT compute: the loss, and the gradient of each tensor under
// its name in the file. Labels of prompt and prefix: the first is predicted by the last virtual token.
class AdapterGradients : public Adapters, public ::testing::WithParamInterface<std::string> {
 protected:
  using Values = std::vector<float>;
  static Values values_of(const SafetensorsReader& reader, const std::string& name) {
    const ArraySpan* array = reader.find(name);
    EXPECT_NE(array, nullptr) << name;
    if (array == nullptr) return {};
    Values values(array->bytes.size() / sizeof(float));
    std::memcpy(values.data(), array->bytes.data(), array->bytes.size());
    return values;
  }
  static Json rows_of(const SafetensorsReader& reader, const std::string& name) {
    const ArraySpan* array = reader.find(name);
    const auto* ids = reinterpret_cast<const int32_t*>(array->bytes.data());
    Json rows = Json::array();
    for (int64_t b = 0; b < array->shape[0]; ++b)
      rows.push_back(
          std::vector<int32_t>(ids + b * array->shape[1], ids + (b + 1) * array->shape[1]));
    return rows;
  }
  static double size_of(const Values& v) {
    double sum = 0;
    for (const float x : v) sum += double{x} * x;
    return std::sqrt(sum);
  }
};

TEST_P(AdapterGradients, AreThoseOfPeft) {
  const std::string folder = golden("adapters/" + GetParam());
  const SafetensorsReader want(fs::path(folder) / "forward.safetensors");
  Json input = {{"input_ids", rows_of(want, "input_ids")}, {"labels", rows_of(want, "labels")}};
  if (want.find("decoder_input_ids") != nullptr)
    input["decoder_input_ids"] = rows_of(want, "decoder_input_ids");
  write_json_file(folder_ / "labelled.json", input);
  const std::string base =
      read_json_file(fs::path(folder) / "adapter_config.json")["base_model_name_or_path"];
  const CommandResult r = run("logits", golden(base + "/model"),
                              {"--adapter", folder, "--input", file("labelled.json"), "--out",
                               file("got.st"), "--loss", "--grads"});
  ASSERT_EQ(r.code, 0) << r.err;
  const SafetensorsReader got(file("got.st"));
  EXPECT_LE(difference(values_of(got, "logits"), values_of(want, "logits")), 1e-4);
  EXPECT_LE(difference(values_of(got, "loss"), values_of(want, "loss")), 2e-5);
  double largest = 0;
  for (const ArraySpan& array : want.arrays())
    if (array.name.starts_with("grad."))
      largest = std::max(largest, size_of(values_of(want, array.name)));
  EXPECT_GT(largest, 1e-3);
  for (const ArraySpan& array : want.arrays()) {
    if (!array.name.starts_with("grad.")) continue;
    const Values gradient = values_of(want, array.name);
    Values error = values_of(got, array.name);
    ASSERT_EQ(error.size(), gradient.size()) << array.name;
    for (size_t i = 0; i < error.size(); ++i) error[i] -= gradient[i];
    EXPECT_LE(size_of(error), 1e-3 * size_of(gradient) + 1e-5 * largest) << array.name;
  }
}

std::vector<std::string> adapters_with_gradients() {
  std::vector<std::string> names;
  for (const auto& entry :
       fs::directory_iterator(testing::tests_folder() / "model" / "goldens" / "adapters"))
    if (SafetensorsReader(entry.path() / "forward.safetensors").find("loss") != nullptr)
      names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, AdapterGradients, ::testing::ValuesIn(adapters_with_gradients()),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Several LoRAs become one first, or act one after the other.
TEST_F(Adapters, AreCombinedAsPeftDoes) {
  const std::string model = golden("llama/model"), one = golden("adapters/llama-attention"),
                    two = golden("adapters/llama");
  const auto merged = [&](std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"--adapter", one, "--adapter", two, "--out", file("m"), "--overwrite"});
    const CommandResult r = run("merge", model, options);
    EXPECT_EQ(r.code, 0) << r.err;
    return logits(file("m"));
  };
  const auto both = merged({});
  EXPECT_LE(difference(both, logits(model, {"--adapter", one, "--adapter", two})), 2e-5);
  EXPECT_LE(difference(merged({"--combination", "cat"}), both), 2e-5);
  EXPECT_LE(difference(merged({"--combination", "cat", "--weight", "1", "--weight", "0"}),
                       logits(model, {"--adapter", one})),
            2e-5);
  EXPECT_GT(difference(merged({"--weight", "0.5", "--weight", "0.5"}), both), 1e-3);
  const auto error = [&](std::vector<std::string> options, const std::string& part) {
    options.insert(options.begin(), {"--adapter", one, "--adapter", two, "--out", file("n")});
    const CommandResult r = run("merge", model, options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
  };
  error({"--weight", "1"}, "is given 1 times for 2 adapters; give one for each");
  error({"--density", "0.5"}, "has no effect without a combination that prunes");
  error({"--combination", "cat", "--density", "0.5"}, "has no effect without a combination");
  error({"--combination", "ties", "--seed", "1"}, "has no effect without --combination dare_");
  error({"--combination", "mean"}, "linear");
  error({"--adapter", golden("adapters/dora"), "--combination", "cat"},
        "is adapted by more than a plain LoRA");
  error({"--adapter", golden("adapters/ia3"), "--combination", "cat"},
        "which this model (llama) does not have");
}

// Requests choose among low-rank updates; the rest says where it can be used.
TEST_F(Adapters, ThoseThatAreNoLowRankUpdatesAreNotGeneratedWith) {
  const auto error = [&](const std::string& base, const std::string& adapter) {
    const CommandResult r = run("generate", golden(base + "/model"),
                                {"--adapter", golden("adapters/" + adapter), "--input",
                                 file("in.json"), "--max-new-tokens", "2", "--json"});
    EXPECT_NE(r.code, 0);
    return r.err;
  };
  EXPECT_NE(error("gpt2", "ia3")
                .find("IA3 changes 'transformer.h.0.attn.c_attn' by more than two "
                      "narrow matrices, which cannot be chosen for each request; "
                      "`lathe merge` makes it part of the weights"),
            std::string::npos)
      << error("gpt2", "ia3");
  EXPECT_NE(error("llama", "saved").find("in place of the model's own"), std::string::npos);
  EXPECT_NE(error("llama", "prompt").find("PROMPT_TUNING puts virtual tokens before the text"),
            std::string::npos);
  const CommandResult merged = run("merge", golden("llama/model"),
                                   {"--adapter", golden("adapters/vera"), "--out", file("m")});
  ASSERT_EQ(merged.code, 0) << merged.err;
  EXPECT_EQ(tokens(golden("llama/model"), {"--adapter", golden("adapters/vera")}),
            tokens(file("m")));
}

TEST_F(Adapters, VirtualTokensStandBeforeOneText) {
  write_json_file(folder_ / "padded.json", {{"input_ids", {{1, 2, 3}, {6, 7, 0}}},
                                            {"attention_mask", {{1, 1, 1}, {1, 1, 0}}}});
  const auto error = [&](const std::string& base, std::vector<std::string> options,
                         const std::string& part) {
    options.insert(options.end(), {"--out", file("out.st")});
    const CommandResult r = run("logits", golden(base + "/model"), options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
  };
  const std::string prompt = golden("adapters/prompt"), prefix = golden("adapters/prefix");
  for (const std::string& adapter : {prompt, prefix})
    error("llama", {"--adapter", adapter, "--input", file("padded.json")},
          "sequence 1 holds several texts that do not see each other (packing) or padding");
  error("llama", {"--adapter", prompt, "--adapter", prefix, "--input", file("in.json")},
        "two of the adapters put tokens before the text");
  error("t5", {"--adapter", prompt, "--input", file("in.json")},
        "PROMPT_TUNING puts virtual tokens before a text that is continued, but body");
  const CommandResult r =
      run("merge", golden("llama/model"), {"--adapter", prompt, "--out", file("m")});
  EXPECT_NE(r.err.find("PROMPT_TUNING puts virtual tokens before a text, which are in no weight"),
            std::string::npos)
      << r.err;
}

}  // namespace
}  // namespace lathe
