// --cache-precision of the commands that write texts, and lathe bench cache.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class CachePrecision : public ::testing::Test {
 protected:
  static fs::path golden(const char* name) {
    return testing::tests_folder() / "model" / "goldens" / name / "model";
  }
  // A golden with a tokenizer of three letters.
  fs::path with_tokenizer(const char* name) {
    const fs::path model = folder_ / name;
    fs::copy(golden(name), model);
    folder_.write(std::string(name) + "/tokenizer.json",
                  R"({"pre_tokenizer": null, "decoder": null, "model": {"type": "BPE",
  "merges": [], "vocab": {"a": 0, "b": 1, "c": 2}}, "added_tokens": []})");
    folder_.write("text", "abcabcaabbccabcbacbacabcbbcaabcabcaabbcc");
    return model;
  }
  static Json json_of(std::vector<std::string> line) {
    line.emplace_back("--json");
    const CommandResult r = run_lathe(line);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? Json::parse(r.out) : Json();
  }

  const TempFolder folder_;
};

TEST_F(CachePrecision, BenchmarksSayWhichAndItsBytes) {
  const std::string model = golden("llama").string();
  const auto decode = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"bench", "decode", model, "--new-tokens", "4"});
    return json_of(options);
  };
  const Json fp32 = decode({"--precision", "fp32"}), bf16 = decode({}),
             int8 = decode({"--cache-precision", "int8"});
  EXPECT_EQ(fp32["cache_precision"], "fp32");
  EXPECT_EQ(bf16["cache_precision"], "bf16");
  EXPECT_EQ(int8["cache_precision"], "int8");
  const auto bytes = [](const Json& j) { return j["cache_bytes_per_token"].get<double>(); };
  EXPECT_EQ(bytes(fp32), 2 * bytes(bf16));
  // Heads of width 4: four bytes of numbers, and a scale of four.
  EXPECT_EQ(bytes(int8), bytes(fp32) / 16 * (4 + 4));
  const Json prefill = json_of(
      {"bench", "prefill", model, "--tokens", "8", "--runs", "1", "--cache-precision", "int8"});
  EXPECT_EQ(prefill["cache_precision"], "int8");
  const CommandResult batch =
      run_lathe({"bench", "batch", model, "--sequences", "2", "--prompt-tokens", "4",
                 "--new-tokens", "3", "--cache-precision", "int8"});
  EXPECT_NE(batch.out.find("layers as int8"), std::string::npos) << batch.out << batch.err;
  // A model with two groups of layers, of the encoder's text and of its own.
  const CommandResult t5 = run_lathe(
      {"bench", "decode", golden("t5").string(), "--new-tokens", "4", "--cache-precision", "int8"});
  EXPECT_NE(t5.out.find("cache int8: "), std::string::npos) << t5.out << t5.err;
}

TEST_F(CachePrecision, BenchCacheComparesTheTwoCaches) {
  const std::string model = with_tokenizer("llama").string(), text = (folder_ / "text").string();
  const auto compare = [&](const char* cache) {
    return json_of(
        {"bench", "cache", model, "--text", text, "--window", "16", "--cache-precision", cache});
  };
  const Json int8 = compare("int8"), bf16 = compare("bf16");
  EXPECT_EQ(int8["cache_precision"], "int8");
  EXPECT_EQ(int8["tokens"], 37);  // of 40 in three windows
  EXPECT_GT(int8["kl_mean"].get<double>(), 0);
  EXPECT_LT(int8["kl_mean"].get<double>(), 0.01);
  EXPECT_LT(bf16["kl_mean"].get<double>(), int8["kl_mean"].get<double>() + 1e-3);
  EXPECT_LT(int8["cache_bytes_per_token"], int8["cache_bytes_per_token_original"]);
  const CommandResult words =
      run_lathe({"bench", "cache", model, "--text", text, "--cache-precision", "int8"});
  EXPECT_NE(words.out.find("KL mean"), std::string::npos) << words.out << words.err;
  const CommandResult unsaid = run_lathe({"bench", "cache", model, "--text", text});
  EXPECT_NE(unsaid.code, 0);
  EXPECT_NE(unsaid.err.find("needs --cache-precision"), std::string::npos) << unsaid.err;
  for (const char* same : {"fp32", "bf16"}) {
    const CommandResult itself = run_lathe(
        {"bench", "cache", model, "--text", text, "--precision", same, "--cache-precision", same});
    EXPECT_NE(itself.code, 0);
    EXPECT_NE(itself.err.find(std::string("[cache_precision] ") + same +
                              " is what keys and values are computed in, so that a cache would be "
                              "compared with itself; take a smaller type, e.g. int8"),
              std::string::npos)
        << itself.err;
  }
}

TEST_F(CachePrecision, ATextIsWrittenThroughIt) {
  folder_.write("in.json", R"({"input_ids": [[1, 2, 3], [4, 5]]})");
  const auto ids = [&](std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"generate", golden("llama").string(), "--input", (folder_ / "in.json").string(),
                    "--temperature", "0", "--ignore-eos", "--max-new-tokens", "6"});
    return json_of(options)["output_ids"];
  };
  EXPECT_EQ(ids({"--cache-precision", "fp32"}), ids({}));
  EXPECT_EQ(ids({"--cache-precision", "int8"}).size(), 2u);
  EXPECT_EQ(ids({"--cache-precision", "int8", "--speculate", "lookup"}),
            ids({"--cache-precision", "int8"}));
}

TEST_F(CachePrecision, WhatHasNoMeaningIsRefused) {
  folder_.write("in.json", R"({"input_ids": [[1, 2, 3]]})");
  const auto expect = [&](const char* model, std::vector<std::string> options, const char* why) {
    options.insert(options.begin(),
                   {"generate", golden(model).string(), "--input", (folder_ / "in.json").string()});
    const CommandResult r = run_lathe(options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
    EXPECT_EQ(r.out, "");
  };
  expect("llama", {"--precision", "bf16", "--cache-precision", "fp32"},
         "keys and values are computed in bf16");
  expect("deepseek_v2", {"--cache-precision", "int8"},
         "no layer of this model keeps keys and values");
  expect("llama", {"--cache-precision", "int4"}, "int8");
}

}  // namespace
}  // namespace lathe
