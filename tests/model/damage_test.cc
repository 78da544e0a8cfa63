// Damaged folders: whatever the bytes, an Error or a model, never a crash.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

class Damage : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ModelConfig c = tiny_config();
    c.model_type = "llama";
    c.hidden_size = 8;
    c.num_attention_heads = 2;
    c.num_hidden_layers = 1;
    save_model(*make_model(c, DType::kF32, Device::kCpu), folder_.path(), {});
    whole_ = content_of(folder_ / GetParam());
    ASSERT_FALSE(whole_.empty());
  }
  std::string load(const std::string& content) {
    folder_.write(GetParam(), content);
    return error_text([&] { logits_of(*load_model(folder_.path(), {}), some_ids(1, 3, 1)); });
  }

  TempFolder folder_;
  std::string whole_;
};

TEST_P(Damage, ATruncatedFileIsRefused) {
  EXPECT_EQ(load(whole_), "no error");
  // A JSON text is whole without its last line break.
  for (size_t cut = 0; cut < 100; ++cut) {
    const size_t length = (whole_.size() - 2) * cut / 100;
    EXPECT_NE(load(whole_.substr(0, length)), "no error") << length << " of " << whole_.size();
  }
}

TEST_P(Damage, AFlippedBitNeverCrashes) {
  const size_t header = std::min<size_t>(whole_.size(), 1500);
  int refused = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    std::string content = whole_;
    const size_t at = Rng(4).below(i, header);
    content[at] = static_cast<char>(content[at] ^ (1 << Rng(5).below(i, 8)));
    refused += load(content) != "no error";
  }
  EXPECT_GT(refused, 25);
}

TEST_P(Damage, ForeignBytesAreRefused) {
  for (const std::string& content :
       {std::string(), std::string(7, '\xFF'), std::string(64, '\xFF'), std::string(64, '\0'),
        std::string("[]"), std::string("{\"a\":"), std::string(100000, '[')})
    EXPECT_NE(load(content), "no error");
}

INSTANTIATE_TEST_SUITE_P(, Damage, ::testing::Values("config.json", "model.safetensors"),
                         [](const auto& each) {
                           return each.param == std::string("config.json") ? "Config" : "Weights";
                         });

}  // namespace
}  // namespace lathe::testing
