// lathe quantize and what reads its files: logits, generate, inspect, export, dequantize.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::largest_difference;
using testing::logits_of;

const fs::path kModel = testing::tests_folder() / "model" / "goldens" / "llama" / "model";

class Quantize : public ::testing::Test {
 protected:
  CommandResult run(std::vector<std::string> arguments) { return run_lathe(arguments); }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  CommandResult quantize(const std::string& out, std::vector<std::string> options) {
    options.insert(options.begin(), {"quantize", kModel.string(), "--out", file(out)});
    return run(options);
  }

  // The model in a folder of its own, with a tokenizer.
  fs::path with_tokenizer() {
    const fs::path model = folder_ / "model";
    fs::copy(kModel, model);
    folder_.write("model/tokenizer.json", R"({"pre_tokenizer": {"type": "ByteLevel",
  "add_prefix_space": false, "trim_offsets": true, "use_regex": true}, "decoder": {"type":
  "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, "model": {"type":
  "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2}}, "added_tokens": []})");
    return model;
  }

  const TempFolder folder_;
};

TEST_F(Quantize, AnEncoderAndADecoder) {
  const fs::path model = folder_ / "t5";
  fs::copy(testing::tests_folder() / "model" / "goldens" / "t5" / "model", model);
  const auto own_distance =
      run({"quantize", model.string(), "--out", file("t5.gguf"), "--type", "F32"});
  EXPECT_NE(own_distance.err.find("position.relative_attention_max_distance"), std::string::npos)
      << own_distance.err;
  Json config = read_json_file(model / "config.json");
  config["relative_attention_max_distance"] = 128;
  write_json_file(model / "config.json", config);
  const auto r = run({"quantize", model.string(), "--out", file("t5.gguf"), "--type", "F32"});
  ASSERT_EQ(r.code, 0) << r.err;
  for (const char* layer : {"\nenc.blk.0 ", "\ndec.blk.0 ", "\nenc.output_norm ", "\ntoken_embd "})
    EXPECT_NE(r.out.find(layer), std::string::npos) << r.out;
  std::ofstream(file("text")) << "aaaa";
  for (const std::vector<std::string>& how : {std::vector<std::string>{"--type", "F32"},
                                              std::vector<std::string>{"--budget-kl", "0.1"}}) {
    std::vector<std::string> all = {"quantize",      model.string(), "--out",
                                    file("no.gguf"), "--eval",       file("text")};
    all.insert(all.end(), how.begin(), how.end());
    const auto refused = run(all);
    EXPECT_EQ(refused.code, 1);
    EXPECT_NE(refused.err.find("does not predict the next token of a text"), std::string::npos)
        << refused.err;
    EXPECT_FALSE(fs::exists(file("no.gguf")));
  }
}

TEST_F(Quantize, AnF32FileIsTheModelInEveryCommand) {
  ASSERT_EQ(quantize("f.gguf", {"--type", "F32"}).code, 0);
  std::ofstream(file("in.json")) << R"({"input_ids": [[1, 2, 3, 4, 5]]})";
  for (const std::string& model : {kModel.string(), file("f.gguf")}) {
    const std::string out = file(fs::path(model).filename().string() + ".st");
    const auto r = run({"logits", model, "--input", file("in.json"), "--out", out});
    ASSERT_EQ(r.code, 0) << r.err;
  }
  const SafetensorsReader a(file("model.st")), b(file("f.gguf.st"));
  EXPECT_TRUE(std::ranges::equal(a.find("logits")->bytes, b.find("logits")->bytes));
  const auto generated = run({"generate", file("f.gguf"), "--input", file("in.json"),
                              "--max-new-tokens", "4", "--temperature", "0", "--json"});
  EXPECT_EQ(generated.code, 0) << generated.err;
  EXPECT_EQ(run({"inspect", file("f.gguf")}).code, 0);
  const auto exported = run({"export", file("f.gguf"), "--out", file("back")});
  ASSERT_EQ(exported.code, 0) << exported.err;
  const auto x = load_model(kModel, {}), y = load_model(file("back"), {});
  const Tensor ids = testing::some_ids(1, 5, x->config().vocab_size);
  EXPECT_EQ(largest_difference(logits_of(*x, ids), logits_of(*y, ids)), 0);
}

TEST_F(Quantize, DequantizeWritesEveryTensor) {
  ASSERT_EQ(quantize("q.gguf", {"--type", "F16", "--pure"}).code, 0);
  const auto r = run({"dequantize", file("q.gguf"), "--out", file("q.st"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const SafetensorsReader values(file("q.st"));
  EXPECT_EQ(Json::parse(r.out)["tensors"], values.arrays().size());
  EXPECT_NE(values.find("blk.0.attn_q.weight"), nullptr);
}

TEST_F(Quantize, TheBillHasItsKeys) {
  const auto r = quantize("q.gguf", {"--type", "Q8_0", "--bill", file("bill.json"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json bill = read_json_file(file("bill.json"));
  EXPECT_EQ(bill, Json::parse(r.out));
  EXPECT_EQ(bill["type"], "Q8_0");
  EXPECT_EQ(bill["file_bytes"], fs::file_size(file("q.gguf")));
  EXPECT_FALSE(bill["tensors"].empty());
  EXPECT_FALSE(bill.contains("kl_mean"));  // no text was given
  const auto words = quantize("q.gguf", {"--type", "Q8_0"});
  EXPECT_NE(words.out.find("bits per weight"), std::string::npos) << words.out;
  EXPECT_NE(words.out.find("give --eval TEXT"), std::string::npos) << words.out;
}

TEST_F(Quantize, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [&](std::vector<std::string> options, const std::string& why) {
    const auto r = quantize("x.gguf", std::move(options));
    EXPECT_NE(r.code, 0) << why;
    EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
    EXPECT_FALSE(fs::exists(file("x.gguf"))) << why;
  };
  refused({}, "give one of --type, --budget-mib and --budget-kl");
  refused({"--type", "Q8_0", "--budget-mib", "3"}, "2 are given");
  refused({"--type", "Q9_0"}, "Q8_0");
  refused({"--budget-mib", "3"}, "needs a text to measure on");
  refused({"--type", "Q8_0", "--curve", file("c.svg")}, "--curve");
  refused({"--type", "Q8_0", "--tensor", "ffn"}, "expected REGEX=TYPE");
  refused({"--type", "Q8_0", "--tensor", "nowhere=Q4_0"}, "is in the name of no tensor");
  refused({"--type", "Q8_0", "--imatrix", file("none")}, "none");
  refused({"--type", "Q8_0", "--error-feedback"}, "give --calibration TEXT");
  refused({"--type", "Q8_0", "--bill", file("x.gguf")}, "which is written too");
  refused({"--type", "Q8_0", "--bill", file("missing/bill.json")}, "there is no folder");
  // The model has no tokenizer, which is known before anything is written.
  refused({"--type", "Q8_0", "--eval", file("none")}, "tokenizer.json");
}

TEST_F(Quantize, AnImatrixOfAnotherModelIsRefused) {
  const std::string name = "blk.99.ffn_up.weight";
  std::ofstream out(file("other.imatrix"), std::ios::binary);
  const auto number = [&](int32_t x) { out.write(reinterpret_cast<const char*>(&x), sizeof x); };
  number(1);
  number(static_cast<int32_t>(name.size()));
  out << name;
  number(1);
  number(1);
  number(0);  // 0.0f
  out.close();
  const auto r = quantize("x.gguf", {"--type", "Q8_0", "--imatrix", file("other.imatrix")});
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.err.find("of none of this model's tensors"), std::string::npos) << r.err;
  EXPECT_FALSE(fs::exists(file("x.gguf")));
}

TEST_F(Quantize, WhatIsReadIsNotOverwritten) {
  ASSERT_EQ(quantize("f.gguf", {"--type", "F32"}).code, 0);
  const auto size = fs::file_size(file("f.gguf"));
  fs::create_symlink(file("f.gguf"), file("link.gguf"));
  std::ofstream(file("in.json")) << R"({"input_ids": [[1, 2]]})";
  for (const auto& r :
       {run({"quantize", file("f.gguf"), "--type", "F16", "--out", file("f.gguf")}),
        run({"quantize", file("f.gguf"), "--type", "F16", "--out", file("link.gguf")}),
        run({"dequantize", file("f.gguf"), "--out", file("f.gguf")}),
        run({"logits", file("f.gguf"), "--input", file("in.json"), "--out", file("in.json")})}) {
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find("which is read"), std::string::npos) << r.err;
  }
  EXPECT_EQ(fs::file_size(file("f.gguf")), size);
}

// A KL that no type reaches: what was at --out stays, and nothing else is left.
TEST_F(Quantize, AnAdapterBecomesPartOfTheFileAndOfTheBill) {
  const fs::path model = with_tokenizer();
  const std::string adapter = (kModel.parent_path().parent_path() / "adapters" / "llama").string();
  folder_.write("text", std::string(300, 'a') + std::string(300, 'b'));
  const auto r = run({"quantize", model.string(), "--type", "Q8_0", "--adapter", adapter, "--eval",
                      file("text"), "--out", file("q.gguf"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json bill = Json::parse(r.out), ways = bill["adapter_ways"];
  ASSERT_EQ(ways.size(), 3u);
  EXPECT_EQ(ways[1]["kl_mean"], bill["kl_mean"]);
  for (const Json& way : ways) {
    EXPECT_GT(way["kl_mean"].get<double>(), 0) << way;
    EXPECT_LT(way["kl_mean"].get<double>(), 0.1) << way;
  }
  EXPECT_FALSE(fs::exists(file("q.gguf.attempt")));
  folder_.write("empty", "");
  const auto empty = run({"quantize", model.string(), "--type", "Q8_0", "--eval", file("empty"),
                          "--out", file("none.gguf")});
  EXPECT_NE(empty.err.find("expected at least 2"), std::string::npos) << empty.err;
  EXPECT_FALSE(fs::exists(file("none.gguf")));
  // In f32 the file is the merged model.
  const auto plain = run(
      {"quantize", model.string(), "--type", "F32", "--adapter", adapter, "--out", file("f.gguf")});
  ASSERT_EQ(plain.code, 0) << plain.err;
  ASSERT_EQ(run({"merge", model.string(), "--adapter", adapter, "--out", file("merged")}).code, 0);
  const auto x = load_model(file("merged"), {}), y = load_model(file("f.gguf"), {});
  const Tensor ids = testing::some_ids(1, 5, x->config().vocab_size);
  EXPECT_EQ(largest_difference(logits_of(*x, ids), logits_of(*y, ids)), 0);
}

TEST_F(Quantize, ABudgetThatIsNotMetLeavesWhatWasThere) {
  const fs::path model = with_tokenizer();
  std::string text;
  for (int i = 0; i < 200; ++i) text += "abcab";
  folder_.write("text", text);
  folder_.write("out.gguf", "old");
  const auto budget = [&](const char* kl) {
    return run({"quantize", model.string(), "--budget-kl", kl, "--eval", file("text"), "--out",
                file("out.gguf")});
  };
  const auto refused = budget("1e-18");
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("ask for at least that"), std::string::npos) << refused.err;
  EXPECT_EQ(fs::file_size(file("out.gguf")), 3u);
  EXPECT_FALSE(fs::exists(file("out.gguf.attempt")));
  // Too small a file is known before anything is measured, so the text need not be long enough.
  folder_.write("short", "ab");
  const auto small = run({"quantize", model.string(), "--budget-mib", "0.001", "--eval",
                          file("short"), "--out", file("out.gguf")});
  EXPECT_NE(small.err.find("the smallest file that the types allow"), std::string::npos)
      << small.err;
  const auto met = budget("10");
  EXPECT_EQ(met.code, 0) << met.err;
  EXPECT_GT(fs::file_size(file("out.gguf")), 3u);
  EXPECT_FALSE(fs::exists(file("out.gguf.attempt")));
}

}  // namespace
}  // namespace lathe
