#include "lathe/infer/prefix_file.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/infer/engine.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

constexpr EngineOptions kOptions{.block_size = 4, .cache_tokens = 64};

struct Answer {
  std::vector<int32_t> tokens;
  int64_t cached = 0;
};

Answer ask(Engine& engine, std::vector<int32_t> prompt) {
  Answer answer;
  Request r{.prompt = std::move(prompt)};
  r.sampling.max_new_tokens = 5;
  r.sampling.ignore_eos = true;
  r.on_token = [&](const NewToken& t) {
    answer.tokens.push_back(t.token);
    return true;
  };
  r.on_finish = [&](const Finished& end) { answer.cached = end.cached_tokens; };
  EXPECT_GT(engine.submit(std::move(r)).id, 0u);
  engine.run();
  return answer;
}

const std::vector<int32_t> kPrompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

TEST(PrefixFile, AnEngineGoesOnWithThePrefixesOfAnother) {
  for (const auto& [window, kept] : {std::pair{false, std::optional<DType>()},
                                     {true, {}},
                                     {true, DType::kI8},
                                     {false, DType::kBF16}}) {
    ModelConfig c = tiny_config();
    EngineOptions options = kOptions;
    options.cache_precision = kept;
    if (window) c.sliding_window = 3, c.layer_types = {"sliding_attention", "full_attention"};
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    const TempFolder folder;
    Engine first(*model, options);
    const Answer want = ask(first, kPrompt);
    EXPECT_EQ(want.cached, 0);
    EXPECT_EQ(first.save_cache(folder / "prefixes"), 3);  // 14 of 15 tokens were computed
    Engine second(*model, options);
    EXPECT_EQ(second.load_cache(folder / "prefixes"), 3);
    const Answer got = ask(second, kPrompt);
    EXPECT_EQ(got.cached, 8);
    EXPECT_EQ(got.tokens, want.tokens);
    EXPECT_EQ(second.load_cache(folder / "prefixes"), 3);  // all there already
    EXPECT_EQ(ask(second, kPrompt).tokens, want.tokens);
    options.cache_tokens = 8;
    Engine small(*model, options);
    EXPECT_EQ(small.load_cache(folder / "prefixes"), 2);  // as many as there is room for
  }
}

TEST(PrefixFile, ForeignFilesAreRefused) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const TempFolder folder;
  Engine engine(*model, kOptions);
  ask(engine, kPrompt);
  engine.save_cache(folder / "prefixes");
  const auto error_of = [&](const Transformer& other, const EngineOptions& options) {
    Engine fresh(other, options);
    const std::string error = error_text([&] { fresh.load_cache(folder / "prefixes"); });
    EXPECT_EQ(fresh.statistics().blocks_kept, 0);
    return error;
  };
  EXPECT_NE(error_of(*model, {.block_size = 8}).find("its block_size is \"4\", expected \"8\""),
            std::string::npos);
  auto other = make_model(tiny_config(), DType::kF32, Device::kCpu);
  other->parameters()[3]->value.tensor().data<float>()[0] += 1;
  EXPECT_NE(error_of(*other, kOptions).find("its identity is"), std::string::npos);
  const auto half = make_model(tiny_config(), DType::kBF16, Device::kCpu);
  EXPECT_NE(error_of(*half, kOptions).find("its identity is"), std::string::npos);
  EngineOptions int8 = kOptions;
  int8.cache_precision = DType::kI8;
  EXPECT_NE(
      error_of(*model, int8)
          .find("its cache_precision is \"fp32\", expected \"int8\"; save the prefixes again"),
      std::string::npos);
  ModelConfig c = tiny_config();
  c.body = "prefix_decoder";
  const auto prefix = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_EQ(error_of(*prefix, kOptions),
            "[cache] this model has no prefixes to keep: the tokens of a prefix see each other; "
            "start without a file");
}

// Wherever a byte is changed or the file is cut, nothing of it is used.
TEST(PrefixFile, DamagedFilesAreRefused) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const TempFolder folder;
  Engine engine(*model, kOptions);
  ask(engine, kPrompt);
  engine.save_cache(folder / "prefixes");
  const std::string whole = content_of(folder / "prefixes");
  Engine fresh(*model, kOptions);
  const auto expect_refused = [&](const std::string& content, const std::string& what) {
    folder.write("damaged", content);
    EXPECT_NE(error_text([&] { fresh.load_cache(folder / "damaged"); }), "no error") << what;
    EXPECT_EQ(fresh.cache().index().size(), 0u) << what;
  };
  for (uint64_t i = 0; i < 300; ++i) {
    const auto at = static_cast<size_t>(i < 150 ? i * 5 : Rng(2).below(i, whole.size()));
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (i % 7)));
    expect_refused(damaged, fmt::format("byte {} of {}", at, whole.size()));
  }
  for (const size_t length : {size_t{0}, size_t{7}, size_t{100}, whole.size() - 1})
    expect_refused(whole.substr(0, length), fmt::format("{} bytes", length));
  expect_refused(whole + "x", "one byte more");
  expect_refused("not a file of prefixes at all", "words");
}

}  // namespace
}  // namespace lathe::testing
