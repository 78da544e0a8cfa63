// lathe convert --tokenizer on the tiny models of tests/model/goldens.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;
using Json = nlohmann::json;

constexpr int32_t kTokens = 29;  // of the models

const fs::path kGoldens = testing::tests_folder() / "model" / "goldens";

// A tokenizer.json whose token `id` is the character U+4E00 + old_ids[id]; then come the merges of
// neighbours in `merged` ("the first two characters").
std::string tokenizer_json(const Ids& old_ids, const std::vector<std::pair<int, int>>& merged = {},
                           Json added = Json::array()) {
  const auto character = [](int i) {
    return Json::parse("\"\\u4e" + std::string(i < 16 ? "0" : "1") + "0123456789abcdef"[i % 16] +
                       "\"")
        .get<std::string>();
  };
  Json vocab = Json::object(), merges = Json::array();
  for (size_t id = 0; id < old_ids.size(); ++id) vocab[character(old_ids[id])] = id;
  for (const auto& [a, b] : merged) {
    vocab[character(a) + character(b)] = vocab.size();
    merges.push_back(character(a) + " " + character(b));
  }
  return Json({{"added_tokens", std::move(added)},
               {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}})
      .dump();
}

Ids all_ids() {
  Ids ids(kTokens);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

class ConvertTokenizer : public ::testing::Test {
 protected:
  // The model `name` with a tokenizer of its own, in the folder "from".
  void take(const std::string& name) {
    fs::remove_all(folder_ / "from");
    fs::copy(kGoldens / name / "model", folder_ / "from");
    folder_.write("from/tokenizer.json", tokenizer_json(all_ids()));
  }
  void prune(const Ids& kept) {
    fs::remove_all(folder_ / "less");
    folder_.write("less/tokenizer.json", tokenizer_json(kept));
    folder_.write("less/id_map.json", Json(kept).dump());
  }
  CommandResult convert(const char* tokenizer, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"convert", path("from"), "--tokenizer", path(tokenizer), "--out",
                               path("to"), "--overwrite"});
    return run_lathe(more);
  }
  Json json_of(const char* file) const { return Json::parse(content_of(folder_ / file)); }
  std::string path(const char* name) const { return (folder_ / name).string(); }

  TempFolder folder_;
};

// [T,V].
Tensor logits_of(const fs::path& folder, const Ids& ids) {
  const auto model = load_model(folder, {});
  Tensor row({1, static_cast<int64_t>(ids.size())}, DType::kI32);
  std::ranges::copy(ids, row.data<int32_t>());
  ModelInputs inputs = testing::inputs_for(*model, row);
  if (model->config().body_traits().encoder) inputs.text = Rows::of(row);
  return testing::logits_of(*model, inputs);
}

// Column `a` of `x` and column `b` of `y`.
void expect_same_column(const Tensor& x, int64_t a, const Tensor& y, int64_t b) {
  EXPECT_LE(testing::largest_difference(x.narrow(1, a, 1).clone(), y.narrow(1, b, 1).clone()),
            1e-5);
}

TEST_F(ConvertTokenizer, EveryFamilyTakesAPrunedAndAnExtendedOne) {
  folder_.write("more/tokenizer.json", tokenizer_json(all_ids(), {{3, 4}, {5, 6}, {3, 3}}));
  const Ids kept = {0, 1, 2, 3, 5, 8, 13, 21, 26, 27, 28};
  prune(kept);
  int families = 0;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (!fs::exists(entry.path() / "model")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    take(entry.path().filename());
    const Ids text = {3, 5, 8, 13, 21, 3, 2};
    const Tensor was = logits_of(folder_ / "from", text);

    CommandResult r = convert("more");
    ASSERT_EQ(r.code, 0) << r.err;
    const Tensor grown = logits_of(folder_ / "to", text);
    ASSERT_EQ(grown.size(1), kTokens + 3);
    for (int32_t id = 0; id < kTokens; ++id) expect_same_column(was, id, grown, id);
    EXPECT_EQ(json_of("to/config.json")["model_type"], json_of("from/config.json")["model_type"]);
    EXPECT_EQ(load_tokenizer(path("to")).vocab_size(), kTokens + 3);

    r = convert("less");
    ASSERT_EQ(r.code, 0) << r.err;
    const Tensor pruned = logits_of(folder_ / "to", {3, 4, 5, 6, 7, 3, 2});
    ASSERT_EQ(pruned.size(1), static_cast<int64_t>(kept.size()));
    for (size_t id = 0; id < kept.size(); ++id)
      expect_same_column(was, kept[id], pruned, static_cast<int64_t>(id));
    ++families;
  }
  EXPECT_GE(families, 40);
}

TEST_F(ConvertTokenizer, IdsInTheFilesAreRenumbered) {
  take("chatglm");  // bos 27, eos 28, gmask 26, pad 3
  folder_.write("from/generation_config.json",
                R"({"eos_token_id": [28, 5, 99], "bos_token_id": 27, "pad_token_id": null,
                    "forced_eos_token_id": 130005, "suppress_tokens": [4, 5], "temperature": 0.5})");
  prune({3, 5, 26, 27, 28});
  ASSERT_EQ(convert("less").code, 0);
  const Json config = json_of("to/config.json"), generation = json_of("to/generation_config.json");
  EXPECT_EQ(config["pad_token_id"], 0);
  EXPECT_EQ(config["gmask_token_id"], 2);
  EXPECT_EQ(config["bos_token_id"], 3);
  EXPECT_EQ(config["eos_token_id"], 4);
  EXPECT_EQ(generation, Json::parse(R"({"eos_token_id": [4, 1], "bos_token_id": 3,
      "pad_token_id": null, "forced_eos_token_id": null, "suppress_tokens": [1],
      "temperature": 0.5})"));
  EXPECT_EQ(read_model_config(folder_ / "to").eos_token_ids(), std::vector<int64_t>{4});
}

// GPT-2's 50256 is no token of this model, and must not become one.
TEST_F(ConvertTokenizer, AnIdThatWasNoTokenStaysNone) {
  take("gpt2");
  Ids many = all_ids();
  std::vector<std::pair<int, int>> merged;
  for (int a = 0; a < kTokens; ++a) merged.emplace_back(a, 0);
  folder_.write("more/tokenizer.json", tokenizer_json(many, merged));
  Json config = json_of("from/config.json");
  config["eos_token_id"] = 40;
  folder_.write("from/config.json", config.dump());
  ASSERT_EQ(convert("more").code, 0);
  EXPECT_TRUE(json_of("to/config.json")["eos_token_id"].is_null());
  EXPECT_FALSE(read_model_config(folder_ / "to").eos_token_id);
}

TEST_F(ConvertTokenizer, TheFilesAreTheNewOnes) {
  take("llama");
  folder_.write("from/tokenizer_config.json", R"({"chat_template": "{{ x }}", "eos_token": "a"})");
  folder_.write("from/chat_template.jinja", "{{ y }}");
  folder_.write("from/added_tokens.json", "{\"old\": 3}");
  const std::string more = tokenizer_json(all_ids(), {{3, 4}});
  folder_.write("more/tokenizer.json", more);
  folder_.write("more/tokenizer_config.json", R"({"eos_token": "b"})");
  ASSERT_EQ(convert("more").code, 0);
  EXPECT_EQ(content_of(folder_ / "to/tokenizer.json"), more);
  EXPECT_EQ(content_of(folder_ / "to/chat_template.jinja"), "{{ y }}");
  EXPECT_EQ(json_of("to/tokenizer_config.json"), Json({{"eos_token", "b"}}));
  EXPECT_FALSE(fs::exists(folder_ / "to/added_tokens.json"));
  const CommandResult lineage = run_lathe({"lineage", path("to")});
  EXPECT_NE(lineage.out.find(path("more")), std::string::npos) << lineage.out;

  fs::remove(folder_ / "from/chat_template.jinja");
  ASSERT_EQ(convert("more").code, 0);
  EXPECT_EQ(json_of("to/tokenizer_config.json"),
            Json({{"eos_token", "b"}, {"chat_template", "{{ x }}"}}));
  // A lone file gets the configuration that was there, with its own added tokens.
  folder_.write("file.json",
                tokenizer_json(all_ids(), {},
                               Json::array({{{"id", 29}, {"content", "<s>"}, {"special", true}}})));
  ASSERT_EQ(convert("file.json").code, 0);
  EXPECT_EQ(json_of("to/tokenizer_config.json")["eos_token"], "a");
  EXPECT_EQ(json_of("to/tokenizer_config.json")["added_tokens_decoder"]["29"]["content"], "<s>");
}

TEST_F(ConvertTokenizer, PaddingAndHalfPrecision) {
  take("llama");
  ASSERT_EQ(run_lathe({"export", path("from"), "--dtype", "bfloat16", "--out", path("half")}).code,
            0);
  fs::remove_all(folder_ / "from");
  fs::rename(folder_ / "half", folder_ / "from");
  folder_.write("more/tokenizer.json", tokenizer_json(all_ids(), {{3, 4}}));
  ASSERT_EQ(convert("more", {"--pad-vocab-to", "16"}).code, 0);
  EXPECT_EQ(json_of("to/config.json")["vocab_size"], 32);
  EXPECT_EQ(json_of("to/config.json")["dtype"], "bfloat16");
  const Tensor was = logits_of(folder_ / "from", {3, 5, 8}),
               now = logits_of(folder_ / "to", {3, 5, 8});
  for (int32_t id = 0; id < kTokens; ++id) expect_same_column(was, id, now, id);
}

TEST_F(ConvertTokenizer, WhatDoesNotBelongToTheModelIsRefused) {
  take("llama");
  const auto expect_refused = [&](const char* tokenizer, const char* reason) {
    const CommandResult r = convert(tokenizer);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(reason), std::string::npos) << r.err;
    EXPECT_FALSE(fs::exists(folder_ / "to"));
  };
  Ids swapped = all_ids();
  std::swap(swapped[7], swapped[9]);
  folder_.write("other/tokenizer.json", tokenizer_json(swapped));
  expect_refused("other", "token 7 is '\u4e09' in this tokenizer and '\u4e07' in the model's");
  prune({0, 3, 5});
  expect_refused("less", "bos_token_id is 1, which the new tokenizer has no token for");
  prune({0, 1, 2, 5});
  for (const auto& [map, reason] : std::vector<std::pair<const char*, const char*>>{
           {"[0, 1, 2]", "lists 3 ids for 4 tokens"},
           {"[0, 1, 5, 2]", "do not ascend"},
           {"[0, 1, 2, 2]", "do not ascend"},
           {"[0, 1, 2, 29]", "was 29, which is no token in the model's"},
           {"[0, 1, 2, 6]", "was 6, which is '\u4e06' in the model's"},
           {"[0, 1, 2, -5]", "expected a list of token ids"},
           {"[0, 1, 2, 5.0]", "expected a list of token ids"},
           {"[0, 1, 2, 18446744073709551615]", "expected a list of token ids"},
           {"[0, 1, 2, \"5\"]", "expected a list of token ids"},
           {"{\"0\": 1}", "expected a list of token ids"},
           {"7", "expected a list of token ids"},
           {"[0, 1", "id_map.json"},
           {"", "id_map.json"}}) {
    SCOPED_TRACE(map);
    folder_.write("less/id_map.json", map);
    expect_refused("less", reason);
  }
  expect_refused("gone", "gone");
  prune(all_ids());
  folder_.write("from/tokenizer.json", tokenizer_json(all_ids(), {{3, 4}}));
  folder_.write("less/tokenizer.json", tokenizer_json(all_ids(), {{3, 4}}));
  expect_refused("less", "lists 29 ids for 30 tokens");
  fs::remove(folder_ / "less/id_map.json");
  expect_refused("less", "the model has 29 rows");
  fs::remove(folder_ / "from/tokenizer.json");
  expect_refused("less", "has no tokenizer");
}

}  // namespace
}  // namespace lathe
