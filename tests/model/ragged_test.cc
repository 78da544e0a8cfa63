// A pass of several sequences gives what one pass for each gives, whatever their lengths, contexts,
// prefixes and segments, in models of every combination.

#include <gtest/gtest.h>

#include <thread>

#include "model/checks.h"
#include "model/contiguous_cache.h"

namespace lathe::testing {
namespace {

std::vector<int32_t> some_text(uint64_t seed, int64_t length) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>(Rng(seed).below(static_cast<uint64_t>(i), kVocabulary)));
  return ids;
}

// What one sequence is given.
struct Sequence {
  std::vector<int32_t> ids, text;  // text: of an encoder
  int32_t prefix = 0;
  std::vector<int32_t> segments = {};  // of ids; empty: none
};

// Its tokens from `at` on, as many as `count`, in a pass that knows those before.
struct Stretch {
  int64_t at = 0, count = 0;
};

ModelInputs inputs_of(const Transformer& model, const std::vector<Sequence>& sequences,
                      const std::vector<Stretch>& stretches) {
  const Body body = model.config().body_traits();
  IdRows parts, texts;
  std::vector<int32_t> segments, keys, prefixes, types;
  ModelInputs inputs;
  for (size_t b = 0; b < sequences.size(); ++b) {
    const Sequence& s = sequences[b];
    const auto from = [&](const std::vector<int32_t>& all) {
      return all.begin() + stretches[b].at;
    };
    parts.emplace_back(from(s.ids), from(s.ids) + stretches[b].count);
    texts.push_back(s.text);
    prefixes.push_back(s.prefix);
    inputs.rows.context.push_back(stretches[b].at);
    for (int64_t i = 0; i < stretches[b].count; ++i)
      types.push_back(static_cast<int32_t>((stretches[b].at + i) % 2));
    if (s.segments.empty()) continue;
    segments.insert(segments.end(), from(s.segments), from(s.segments) + stretches[b].count);
    keys.insert(keys.end(), s.segments.begin(), from(s.segments) + stretches[b].count);
  }
  const auto tensor = [](const std::vector<int32_t>& v) {
    return Tensor::of<int32_t>(v, {static_cast<int64_t>(v.size())});
  };
  const Rows rows = Rows::of(parts);
  inputs.rows.ids = rows.ids;
  inputs.rows.sequences = rows.sequences;
  if (!segments.empty()) {
    inputs.rows.segments = tensor(segments);
    inputs.rows.key_segments = tensor(keys);
  }
  if (body.prefix) inputs.rows.prefix = tensor(prefixes);
  if (model.config().type_vocab_size > 0) inputs.rows.token_types = tensor(types);
  if (body.encoder) inputs.text = Rows::of(texts);
  return inputs;
}

// Logits of all tokens of every sequence, computed in rounds: round r takes each sequence on by
// rounds[r][b] tokens.
std::vector<std::vector<double>> logits_in_rounds(const Transformer& model,
                                                  const std::vector<Sequence>& sequences,
                                                  const std::vector<std::vector<int64_t>>& rounds) {
  ContiguousCache cache(static_cast<int64_t>(sequences.size()), 16);
  const bool with_cache = rounds.size() > 1;
  ModelPass pass(model, {.cache = with_cache ? &cache : nullptr});
  std::vector<std::vector<double>> out(sequences.size());
  std::vector<int64_t> at(sequences.size(), 0);
  for (const std::vector<int64_t>& round : rounds) {
    std::vector<Stretch> stretches;
    for (size_t b = 0; b < sequences.size(); ++b) stretches.push_back({at[b], round[b]});
    ModelInputs inputs = inputs_of(model, sequences, stretches);
    if (&round != &rounds.front()) inputs.text.reset();
    const Tensor logits = pass.logits(pass.hidden(inputs)).value;
    if (with_cache) cache.advance(inputs.rows);
    for (size_t b = 0; b < sequences.size(); ++b) {
      const int64_t first = inputs.rows.sequences.first(static_cast<int64_t>(b));
      const auto part = logits.narrow(0, first, round[b]).clone().to_vector();
      out[b].insert(out[b].end(), part.begin(), part.end());
      at[b] += round[b];
    }
  }
  return out;
}

std::vector<Sequence> some_sequences(bool with_segments) {
  std::vector<Sequence> all = {{some_text(1, 7), some_text(11, 6), 2},
                               {some_text(2, 3), some_text(12, 2), 3},
                               {some_text(3, 9), some_text(13, 4), 0},
                               {some_text(4, 4), some_text(14, 5), 1}};
  for (size_t b = 0; b < all.size() && with_segments; ++b)
    for (size_t i = 0; i < all[b].ids.size(); ++i)
      all[b].segments.push_back(static_cast<int32_t>(i / (2 + b)));
  return all;
}

std::vector<int64_t> lengths_of(const std::vector<Sequence>& sequences) {
  std::vector<int64_t> lengths;
  for (const Sequence& s : sequences) lengths.push_back(static_cast<int64_t>(s.ids.size()));
  return lengths;
}

class EveryModel : public ::testing::TestWithParam<Variant> {
 protected:
  // On the reference device every number is a function of its own row's inputs, so the bits agree.
  void expect_one_by_one(const Transformer& model, bool with_segments,
                         const std::vector<std::vector<int64_t>>& rounds, double tolerance) {
    const std::vector<Sequence> all = some_sequences(with_segments);
    const auto together = logits_in_rounds(model, all, rounds);
    for (size_t b = 0; b < all.size(); ++b) {
      std::vector<std::vector<int64_t>> own;
      for (const auto& round : rounds) own.push_back({round[b]});
      const auto alone = logits_in_rounds(model, {all[b]}, own)[0];
      ASSERT_EQ(together[b].size(), alone.size());
      for (size_t i = 0; i < alone.size(); ++i)
        ASSERT_LE(std::abs(together[b][i] - alone[i]),
                  tolerance * std::max(1.0, std::abs(alone[i])))
            << "sequence " << b << ", number " << i;
    }
  }
};

TEST_P(EveryModel, RaggedIsOneByOne) {
  const auto exact = make_model(GetParam().config, DType::kF64, Device::kRef);
  const auto fast = make_model(GetParam().config, DType::kF32, Device::kCpu);
  const std::vector<std::vector<int64_t>> whole = {lengths_of(some_sequences(false))};
  for (const bool with_segments : {false, true}) {
    expect_one_by_one(*exact, with_segments, whole, 0);
    expect_one_by_one(*fast, with_segments, whole, 1e-4);
  }
  if (!exact->config().body_traits().causal) return;
  // Some are read whole while others go on by one token, or wait.
  const std::vector<std::vector<int64_t>> rounds = {{3, 3, 4, 2}, {1, 0, 1, 2}, {3, 0, 4, 0}};
  for (const bool with_segments : {false, true}) {
    expect_one_by_one(*exact, with_segments, rounds, 0);
    expect_one_by_one(*fast, with_segments, rounds, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryModel, ::testing::ValuesIn(covering_variants(2)),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return std::to_string(each.index) + "_" + name.substr(0, 80);
                         });

// A row is not placed by its neighbours where frequencies follow the length of the text.
TEST(Ragged, FrequenciesFollowTheLengthOfEachSequenceAlone) {
  for (const char* scaling : {"dynamic", "longrope"}) {
    ModelConfig c = tiny_config();
    RopeConfig& rope = c.position.get<RopeConfig>();
    rope.scaling.kind = scaling;
    rope.scaling.factor = 2.0;
    rope.scaling.original_max_position_embeddings = 5;
    c.max_position_embeddings = 10;
    if (std::string(scaling) == "longrope") {
      const auto pairs = static_cast<size_t>(c.head_width() / 2);
      rope.scaling.short_factor.assign(pairs, 1.0);
      rope.scaling.long_factor.assign(pairs, 3.0);
    }
    const auto model = make_model(c, DType::kF64, Device::kRef);
    const std::vector<Sequence> all = some_sequences(false);
    const auto together = logits_in_rounds(*model, all, {lengths_of(all)});
    for (size_t b = 0; b < all.size(); ++b)
      EXPECT_EQ(together[b],
                logits_in_rounds(*model, {all[b]}, {{static_cast<int64_t>(all[b].ids.size())}})[0])
          << scaling << " " << b;
  }
}

// Passes change nothing in the model, so two threads may run it at once.
TEST(Ragged, TwoThreadsRunOneModel) {
  const std::unique_ptr<const Transformer> model =
      make_model(tiny_config(), DType::kF32, Device::kCpu);
  const std::vector<Sequence> all = some_sequences(false);
  const auto pass_of = [&](size_t b) {
    const auto length = static_cast<int64_t>(all[b].ids.size());
    return logits_in_rounds(*model, {all[b]}, {{2}, {length - 2}})[0];
  };
  std::vector<std::vector<double>> want;
  for (size_t b = 0; b < all.size(); ++b) want.push_back(pass_of(b));
  std::vector<std::thread> threads;
  std::vector<int> wrong(2, 0);
  for (size_t thread = 0; thread < 2; ++thread)
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 50; ++round)
        for (size_t b = thread; b < all.size(); b += 2) wrong[thread] += pass_of(b) != want[b];
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, (std::vector<int>{0, 0}));
}

}  // namespace
}  // namespace lathe::testing
