// Models without an output head: which folders are read so, and what such a model is not asked for.
#include <gtest/gtest.h>

#include "lathe/model/model_pass.h"
#include "model/folder_testing.h"

namespace lathe::testing {
namespace {

class Headless : public Folder {
 protected:
  // A folder of this family whose config.json names another class.
  fs::path saved_as(const std::string& family, const std::string& architecture, bool tied = false,
                    const std::function<void(ModelConfig&)>& change = {}) {
    ModelConfig c = family_config(family);
    c.tie_word_embeddings = tied;
    if (change) change(c);
    const fs::path folder = save(c);
    Json json = read_json_file(folder / "config.json");
    json["architectures"] = {architecture};
    write_json_file(folder / "config.json", json);
    return folder;
  }
  static void take_head_away(ModelConfig& c) {
    c.lm_head = c.tie_word_embeddings = c.lm_head_bias = c.head_transform = false;
  }
};

TEST_F(Headless, EveryFamilyThatHasTheClassReadsWhatItWrites) {
  int families_with = 0;
  for (const char* family : {"bert", "llama", "mistral", "qwen3", "gpt_neox", "lathe"}) {
    SCOPED_TRACE(family);
    ModelConfig c = family_config(family);
    take_head_away(c);
    ASSERT_TRUE(can_express(find_family(family), c));
    const fs::path folder = save(c);
    const std::string architecture = read_json_file(folder / "config.json")["architectures"][0];
    EXPECT_TRUE(architecture.ends_with("Model")) << architecture;
    const auto loaded = load_model(folder, {});
    EXPECT_FALSE(loaded->config().lm_head);
    EXPECT_EQ(loaded->config().model_type, family);
    const Pass plain;
    const Rows rows = Rows::of(some_ids(2, 5));
    EXPECT_EQ(ModelPass(*loaded, plain).states(rows).value.to_vector(),
              ModelPass(*model_, plain).states(rows).value.to_vector());
    ++families_with;
  }
  EXPECT_EQ(families_with, 6);
}

// The class is what wrote the file; a head that lies there is a head.
TEST_F(Headless, ADecoderWithAHeadHasOne) {
  EXPECT_TRUE(read_model_config(saved_as("llama", "LlamaModel")).lm_head);
  EXPECT_TRUE(read_model_config(saved_as("llama", "LlamaModel", /*tied=*/true)).lm_head);
  EXPECT_FALSE(read_model_config(saved_as("llama", "LlamaModel", false, take_head_away)).lm_head);
}

// Without the name a head that is missing is an incomplete download.
TEST_F(Headless, AMissingHeadIsAnErrorWhereTheClassHasOne) {
  const fs::path folder = saved_as("llama", "LlamaForCausalLM", false, take_head_away);
  EXPECT_NE(error_text([&] { load_model(folder, {}); }).find("'lm_head.weight' is missing"),
            std::string::npos);
}

TEST_F(Headless, PredictsNothing) {
  const auto model = load_model(saved_as("llama", "LlamaModel", false, take_head_away), {});
  EXPECT_NE(error_text([&] { model->head({}); }).find("no output head"), std::string::npos);
}

TEST(HeadlessConfig, NothingOfAHeadStaysWithoutIt) {
  const auto said = [](const std::function<void(ModelConfig&)>& change) {
    ModelConfig c = tiny_config();
    c.lm_head = false;
    change(c);
    return error_text([&] { validate(c); });
  };
  EXPECT_EQ(said([](ModelConfig&) {}), "no error");
  for (const auto& change : std::vector<std::function<void(ModelConfig&)>>{
           [](ModelConfig& c) { c.tie_word_embeddings = true; },
           [](ModelConfig& c) { c.lm_head_bias = true; }, [](ModelConfig& c) { c.num_labels = 1; },
           [](ModelConfig& c) { c.body = "encoder_decoder"; }})
    EXPECT_NE(said(change).find("[model.lm_head] a model without an output head"),
              std::string::npos)
        << said(change);
  ModelConfig pooled = tiny_config();
  pooled.pooler = true;
  EXPECT_NE(error_text([&] { validate(pooled); }).find("[model.pooler]"), std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
