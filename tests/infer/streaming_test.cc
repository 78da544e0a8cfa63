// Texts that are streamed past a window with sinks (nn/streaming.h).
#include <gtest/gtest.h>

#include <cmath>

#include "infer/oracle.h"
#include "lathe/base/error.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/generate.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;

// The definition, as the paper has it: a cache of one text that holds the sinks and the last tokens,
// one next to the other. A token's position is its place in the cache. Keys come turned to the place
// where they were first, and are turned on when what is before them has left.
class RollingCache : public AttentionCache {
 public:
  // The last `turning` channels of a key rotate, by halves; all of them if it is negative.
  RollingCache(const Streaming& streaming, int64_t turning, double theta)
      : streaming_(streaming), turning_(turning), theta_(theta) {}

  // Makes room for the next token, whose place is then size().
  void roll() {
    if (size_ < streaming_.sinks + streaming_.window) return;
    for (auto& [layer, rows] : layers_) rows.erase(rows.begin() + streaming_.sinks);
    --size_;
  }
  int64_t size() const { return size_; }
  void advance() { ++size_; }

  void write(const CacheLayer& layer, const Rows&, const Tensor& k, const Tensor& v) override {
    layers_[layer.index].push_back({k.clone(), v.defined() ? v.clone() : Tensor(), size_});
  }
  ops::KeyValues view(const CacheLayer& layer, const Rows&) const override {
    const std::vector<Row>& rows = layers_.at(layer.index);
    const auto count = std::ssize(rows);
    const Tensor k(rows[0].k.shape().with(0, count), DType::kF32);
    const bool has_v = rows[0].v.defined();
    const Tensor v = has_v ? Tensor(rows[0].v.shape().with(0, count), DType::kF32) : Tensor();
    for (int64_t s = 0; s < count; ++s) {
      const Row& row = rows[static_cast<size_t>(s)];
      const Tensor turned = row.k.clone();
      turn(turned, s - row.place);
      k.narrow(0, s, 1).copy_from(turned);
      if (has_v) v.narrow(0, s, 1).copy_from(row.v);
    }
    const std::vector<int64_t> lengths{count};
    return ops::KeyValues::packed(Var(k), Var(v), Sequences(lengths));
  }

 private:
  struct Row {
    Tensor k, v;
    int64_t place;
  };
  void turn(const Tensor& k, int64_t by) const {
    const int64_t width = k.size(2), turning = turning_ < 0 ? width : turning_, half = turning / 2;
    for (int64_t head = 0; head < k.size(1); ++head) {
      float* x = k.data<float>() + head * width + width - turning;
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(by) *
            std::pow(theta_, -2.0 * static_cast<double>(i) / static_cast<double>(turning));
        const double a = x[i], b = x[i + half];
        x[i] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
        x[i + half] = static_cast<float>(b * std::cos(angle) + a * std::sin(angle));
      }
    }
  }

  Streaming streaming_;
  int64_t turning_;
  double theta_;
  int64_t size_ = 0;
  std::map<int64_t, std::vector<Row>> layers_;
};

struct Kind {
  const char* name;
  std::function<void(ModelConfig&)> apply;
  int64_t turning;  // channels of a key; -1: all of a head
};

ModelConfig config_of(const Kind& kind) {
  ModelConfig c = tiny_config();
  kind.apply(c);
  return c;
}

// The logits behind each token, [T][V].
std::vector<std::vector<double>> by_definition(const Transformer& model, const Streaming& streaming,
                                               int64_t turning, const Ids& text) {
  const ModelConfig& c = model.config();
  const double theta = c.position.kind == "rope" ? c.position.get<RopeConfig>().rope_theta : 1.0;
  RollingCache cache(streaming, turning, theta);
  ModelPass pass(model, {.cache = &cache});
  std::vector<std::vector<double>> all;
  for (const int32_t token : text) {
    cache.roll();
    ModelInputs inputs{.rows = Rows::of(IdRows{{token}})};
    inputs.rows.context = {cache.size()};
    all.push_back(pass.logits(pass.hidden(inputs)).value.to_vector());
    cache.advance();
  }
  return all;
}

Ids some_text(uint64_t seed, int64_t length) {
  Ids ids;
  for (int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>(
        Rng(seed).below(static_cast<uint64_t>(i), static_cast<uint64_t>(kVocabulary))));
  return ids;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kAll = {
      {"rope", [](ModelConfig&) {}, -1},
      {"grouped", [](ModelConfig& c) { c.num_key_value_heads = 2; }, -1},
      {"latent",
       [](ModelConfig& c) {
         set_keys(c.attention, R"({"kind": "latent", "kv_lora_rank": 6, "qk_nope_head_dim": 3,
                                   "qk_rope_head_dim": 2, "v_head_dim": 5})");
       },
       2},
      {"alibi", [](ModelConfig& c) { c.position.kind = "alibi"; }, 0},
      {"none", [](ModelConfig& c) { c.position.kind = "none"; }, 0},
      {"sink_logits", [](ModelConfig& c) { c.attention.sink_logits = true; }, -1},
  };
  return kAll;
}

struct Plan {
  Streaming streaming;
  int64_t tokens;
};
const std::vector<Plan> kShapes = {
    {{5, 2}, 40}, {{1, 1}, 12}, {{7, 0}, 30}, {{66, 3}, 210}, {{3, 70}, 160}};

class StreamingOf : public ::testing::TestWithParam<Kind> {};

TEST_P(StreamingOf, IsTheRollingCacheOfThePaper) {
  const auto model = make_model(config_of(GetParam()), DType::kF32, Device::kCpu);
  for (const auto& [streaming, tokens] : kShapes) {
    SCOPED_TRACE(fmt::format("window {} sinks {}", streaming.window, streaming.sinks));
    const Ids text = some_text(static_cast<uint64_t>(tokens), tokens);
    const auto want = by_definition(*model, streaming, GetParam().turning, text);
    ModelPass pass(*model, {.streaming = streaming});
    const Tensor logits = pass.logits(pass.hidden({.rows = Rows::of(IdRows{text})})).value;
    const std::vector<double> got = logits.to_vector();
    const size_t width = want[0].size();
    double apart = 0, without = 0;
    const std::vector<double> plain = [&] {
      ModelPass whole(*model, {});
      return whole.logits(whole.hidden({.rows = Rows::of(IdRows{text})})).value.to_vector();
    }();
    for (size_t t = 0; t < want.size(); ++t)
      for (size_t v = 0; v < width; ++v) {
        apart = std::max(apart, std::abs(want[t][v] - got[t * width + v]));
        without = std::max(without, std::abs(want[t][v] - plain[t * width + v]));
      }
    EXPECT_LT(apart, 2e-4);
    EXPECT_GT(without, 1e-2);  // the window was felt
  }
}

struct Answer {
  Ids tokens;
  std::vector<float> logprobs;
  bool operator==(const Answer&) const = default;
};

Request listening(const Ids& prompt, int64_t tokens, Answer& to) {
  Request r{.prompt = prompt,
            .sampling = {.max_new_tokens = tokens, .temperature = 1.2, .seed = 5}};
  r.sampling.ignore_eos = true;
  r.logprobs = 0;
  r.on_token = [&to](const NewToken& t) {
    to.tokens.push_back(t.token);
    to.logprobs.push_back(t.logprob);
    return true;
  };
  return r;
}

// Prompts longer and shorter than the window: alone, and together in pieces in a cache in which they
// hardly fit; then once more, with what is left of the first ones.
TEST_P(StreamingOf, IsTheSameInPiecesAndInBatches) {
  const auto model = make_model(config_of(GetParam()), DType::kF32, Device::kCpu);
  for (const auto& [streaming, tokens] : kShapes) {
    SCOPED_TRACE(fmt::format("window {} sinks {}", streaming.window, streaming.sinks));
    constexpr size_t kTexts = 4;
    std::vector<Ids> prompts;
    for (size_t i = 0; i < kTexts; ++i)
      prompts.push_back(some_text(i % 2, 1 + tokens * static_cast<int64_t>(i) / 4));
    const int64_t more = tokens / 3;
    std::vector<Answer> alone(kTexts), together(2 * kTexts);
    for (size_t i = 0; i < kTexts; ++i) {
      Engine engine(*model, {.cache_tokens = 4096, .token_budget = 4096, .streaming = streaming});
      ASSERT_FALSE(engine.submit(listening(prompts[i], more, alone[i])).refusal);
      engine.run();
    }
    Engine engine(*model, {.block_size = 4,
                           .cache_tokens = tokens * 2,
                           .token_budget = 7,
                           .max_sequences = 3,
                           .streaming = streaming});
    for (size_t i = 0; i < 2 * kTexts; ++i) {
      const Submission taken = engine.submit(listening(prompts[i % kTexts], more, together[i]));
      ASSERT_FALSE(taken.refusal) << taken.refusal->message;
      engine.step();
    }
    engine.run();
    EXPECT_EQ(engine.statistics().blocks_held, 0);
    for (size_t i = 0; i < 2 * kTexts; ++i) {
      EXPECT_EQ(std::ssize(together[i].tokens), more);
      EXPECT_EQ(together[i], alone[i % kTexts]) << i;
    }
    // Each token is what the definition gives behind those before it.
    Ids text = prompts[3];
    text.insert(text.end(), alone[3].tokens.begin(), alone[3].tokens.end());
    const auto want = by_definition(*model, streaming, GetParam().turning, text);
    for (size_t i = 0; i < alone[3].tokens.size(); ++i) {
      const auto& row = want[prompts[3].size() + i - 1];
      const std::vector<float> logits(row.begin(), row.end());
      EXPECT_NEAR(alone[3].logprobs[i], Logprobs(logits).of(alone[3].tokens[i]), 2e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, StreamingOf, ::testing::ValuesIn(kinds()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Streaming, ATextThatFitsTheWindowIsWhatItIsWithoutOne) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  std::vector<Answer> got(2);
  for (size_t i = 0; i < 2; ++i) {
    EngineOptions options{.cache_tokens = 4096};
    if (i == 1) options.streaming = Streaming{40, 4};
    Engine engine(*model, options);
    ASSERT_FALSE(engine.submit(listening(some_text(3, 20), 20, got[i])).refusal);
    engine.run();
  }
  EXPECT_EQ(got[0], got[1]);
}

// What a sequence holds does not grow with it, and the angles of far positions are exact.
TEST(Streaming, HoldsABoundedNumberOfBlocks) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  constexpr int64_t kWindow = 20, kSinks = 4, kBudget = 32, kBlock = 4;
  Engine engine(*model, {.block_size = kBlock,
                         .cache_tokens = 1 << 20,
                         .token_budget = kBudget,
                         .max_sequences = 1,
                         .streaming = Streaming{kWindow, kSinks}});
  const int64_t planned = engine.cache().pool(0).size();
  EXPECT_LT(planned * kBlock, kWindow + kBudget + 2 * kernels::kKeyTile + 5 * kBlock + kBlock);
  EXPECT_NE(engine.description().find("that reach 19 back, and to the first 4"), std::string::npos)
      << engine.description();
  Answer answer;
  ASSERT_FALSE(engine.submit(listening(some_text(1, 3000), 500, answer)).refusal);
  int64_t most = 0;
  while (engine.step()) most = std::max(most, engine.statistics().blocks_held);
  EXPECT_EQ(answer.tokens.size(), 500u);
  EXPECT_LE(most, planned);
}

TEST(Streaming, GenerateGoesOnBeyondWhatItsMemoryHolds) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  GenerateRequest request;
  request.prompts = {some_text(1, 30), some_text(2, 3)};
  request.streaming = Streaming{8, 2};
  const IdRows got =
      generate(*model, {.max_new_tokens = 300, .temperature = 0, .ignore_eos = true}, request);
  for (size_t row = 0; row < got.size(); ++row) {
    ASSERT_EQ(got[row].size(), 300u);
    Ids text = request.prompts[row];
    text.insert(text.end(), got[row].begin(), got[row].end());
    const auto want = by_definition(*model, *request.streaming, -1, text);
    for (size_t i = 0; i < got[row].size(); ++i) {
      const auto& logits = want[request.prompts[row].size() + i - 1];
      // Greedy, but for ties within the rounding of two ways to compute it.
      EXPECT_NEAR(logits[static_cast<size_t>(got[row][i])], std::ranges::max(logits), 2e-4);
    }
  }
}

TEST(Streaming, IsRefusedWithAReasonAndAnAdvice) {
  const auto why = [](auto&& change) {
    ModelConfig c = tiny_config();
    change(c);
    const auto model = make_model(c, DType::kF32, Device::kCpu);
    try {
      const Engine engine(*model, {.streaming = Streaming{8, 4}});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("taken");
  };
  const auto expect = [&](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  EXPECT_EQ(why([](ModelConfig&) {}), "taken");
  expect(why([](ModelConfig& c) { c.position.kind = "learned"; }),
         "[stream_window] this model cannot stream a text: its positions (\"learned\") are more "
         "than distances between tokens, so that none can be left out; shorten the prompt to N "
         "tokens, at most 24, and use lathe generate --context-shift N, which reads a shorter text "
         "again wherever the answer outgrows them");
  expect(why([](ModelConfig& c) { c.position.kind = "sinusoidal"; }),
         "lathe generate --context-shift N");
  expect(why([](ModelConfig& c) { c.position.kind = "t5"; }), "(\"t5\")");
  expect(why([](ModelConfig& c) {
           c.position.kind = "alibi";
           set_keys(c.position, R"({"alibi": "falcon"})");
         }),
         "(\"alibi\")");
  expect(why([](ModelConfig& c) { c.sliding_window = 4; }), "layer 0 has a window or a pattern");
  expect(why([](ModelConfig& c) { c.body = "prefix_decoder"; }), "the tokens of a prefix");
  expect(why([](ModelConfig& c) {
           c.body = "encoder_decoder";
           c.decoder_start_token_id = 2;
         }),
         "an encoder reads the whole text at once; give it a shorter text");
  expect(
      why([](ModelConfig& c) {
        c.position.get<RopeConfig>().scaling.kind = "dynamic";
        c.position.get<RopeConfig>().scaling.factor = 4.0;
        c.max_position_embeddings = 8;
      }),
      "its rotary scaling follows the length of the text; shorten the prompt to N tokens and use "
      "lathe generate --context-shift N");
  expect(why([](ModelConfig& c) {
           set_keys(c.moe, R"({"router": "switch", "num_experts": 4, "expert_capacity": 2})");
         }),
         "compete for experts");
}

TEST(Streaming, IsNotCombinedWithWhatNeedsAllTokens) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  EXPECT_THROW(Engine(*model, {.streaming = Streaming{0, 4}}), Error);
  Engine engine(*model, {.cache_tokens = 400, .streaming = Streaming{8, 4}});
  const auto refused = [&](auto&& change) {
    Request r{.prompt = {1, 2, 3}};
    r.sampling.max_new_tokens = 4;
    change(r);
    const Submission taken = engine.submit(std::move(r));
    return taken.refusal ? taken.refusal->where + ": " + taken.refusal->message : "taken";
  };
  EXPECT_EQ(refused([](Request&) {}), "taken");
  EXPECT_EQ(
      refused([](Request& r) {
        r.context_shift = ContextShift{20, 2};
      }),
      "context_shift: loses tokens that this engine's stream_window keeps in view; use one of "
      "them");
  EXPECT_NE(refused([](Request& r) {
              r.sampling.penalty_alpha = 0.5;
              r.sampling.top_k = 3;
            }).find("keeps a window of it (stream_window)"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
