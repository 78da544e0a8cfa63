// The rows of each objective of text.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "io/temp_folder.h"
#include "lathe/config/read_write.h"
#include "lathe/train/objectives.h"
#include "lathe/train/row_format/spans.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;

ModelConfig model_of(const char* body, int64_t vocabulary = 300) {
  ModelConfig c;
  c.model_type = "lathe";
  c.body = body;
  c.vocab_size = vocabulary;
  c.hidden_size = 8;
  c.num_hidden_layers = 1;
  c.num_attention_heads = 1;
  c.max_position_embeddings = 1024;
  c.pad_token_id = 0;
  return c;
}

// The section [objective] with these keys.
ObjectiveConfig section(const char* keys) {
  ObjectiveConfig c;
  read_config(c, nlohmann::ordered_json::parse(keys), "objective");
  return c;
}
ObjectiveConfig objective(const char* name) {
  ObjectiveConfig c;
  c.name = name;
  return c;
}

Ids text_of(int64_t tokens, int32_t first = 1) {
  Ids ids(static_cast<size_t>(tokens));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// The text again, from what was left and what was taken out.
Ids restored(const Ids& inputs, const Ids& targets, int32_t first_sentinel, size_t spans) {
  const auto is_sentinel = [&](int32_t id) {
    return id <= first_sentinel && id > first_sentinel - static_cast<int32_t>(spans);
  };
  Ids all;
  for (const int32_t id : inputs) {
    if (!is_sentinel(id)) {
      all.push_back(id);
      continue;
    }
    auto at = std::ranges::find(targets, id);
    EXPECT_NE(at, targets.end());
    for (++at; at != targets.end() && !is_sentinel(*at); ++at) all.push_back(*at);
  }
  return all;
}

TEST(Spans, PartsAreEveryWayOfCutting) {
  std::map<std::vector<int64_t>, int> seen;
  for (uint64_t i = 0; i < 600; ++i) {
    const auto parts = random_parts(5, 3, Rng(i));
    EXPECT_EQ(parts.size(), 3u);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), int64_t{0}), 5);
    EXPECT_GE(std::ranges::min(parts), 1);
    ++seen[parts];
  }
  ASSERT_EQ(seen.size(), 6u);
  for (const auto& [parts, count] : seen) EXPECT_NEAR(count, 100, 40);
}

// T5 makes 512 inputs and 114 targets, each with an end token, of 568 tokens.
TEST(Spans, CountsAreThoseOfT5) {
  const SpanCounts c = span_counts(568, 0.15, 3.0);
  EXPECT_EQ(568 - c.hidden + c.spans + 1, 512);
  EXPECT_EQ(c.hidden + c.spans + 1, 114);
  EXPECT_EQ(span_counts(2, 0.9, 1.0).hidden, 1);
  EXPECT_EQ(span_counts(2, 0.9, 1.0).spans, 1);
}

TEST(Spans, NothingIsLost) {
  for (const double rate : {0.15, 0.5, 0.9})
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const SpanCounts counts = span_counts(40, rate, 3.0);
      const Ids text = text_of(40);
      const Corrupted c = corrupt(text, counts, 299, Rng(seed));
      EXPECT_EQ(c.inputs.size(), static_cast<size_t>(40 - counts.hidden + counts.spans));
      EXPECT_EQ(c.targets.size(), static_cast<size_t>(counts.hidden + counts.spans));
      EXPECT_EQ(c.inputs.front(), 1);
      EXPECT_EQ(c.targets.front(), 299);
      EXPECT_EQ(restored(c.inputs, c.targets, 299, static_cast<size_t>(counts.spans)), text);
    }
}

TEST(RowFormats, NextTokenIsTheTextItself) {
  const auto o = make_row_format({}, model_of("decoder"), 6);
  const Row e = o->row(text_of(7), Rng(1));
  EXPECT_EQ(e.ids, text_of(6));
  EXPECT_EQ(e.labels, text_of(6, 2));
  EXPECT_EQ(e.prefix, 0);
  EXPECT_TRUE(e.text.empty());
}

TEST(RowFormats, PrefixLmAsksForWhatComesAfterTheCut) {
  std::set<int64_t> cuts;
  const auto o = make_row_format({}, model_of("prefix_decoder"), 6);
  const auto both = make_row_format(objective("prefix_lm"), model_of("encoder_decoder"), 6);
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Row e = o->row(text_of(7), Rng(seed));
    cuts.insert(e.prefix);
    EXPECT_EQ(e.ids, text_of(6));
    for (int64_t t = 0; t < 6; ++t)
      EXPECT_EQ(e.labels[static_cast<size_t>(t)], t + 1 < e.prefix ? -1 : t + 2);
    const Row pair = both->row(text_of(7), Rng(seed));
    EXPECT_EQ(pair.text, text_of(e.prefix));
    EXPECT_EQ(pair.labels, text_of(7 - e.prefix, static_cast<int32_t>(e.prefix) + 1));
    EXPECT_EQ(pair.ids.front(), 0);
    EXPECT_TRUE(std::equal(pair.ids.begin() + 1, pair.ids.end(), pair.labels.begin()));
  }
  EXPECT_EQ(cuts, (std::set<int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(RowFormats, SpanCorruptionGivesTheSameToEveryBody) {
  ModelConfig pair = model_of("encoder_decoder"), prefix = model_of("prefix_decoder"),
              plain = model_of("decoder");
  for (ModelConfig* c : {&pair, &prefix, &plain}) c->eos_token_id = 150;
  const auto config = objective("span_corruption");
  const Row a = make_row_format(config, pair, 40)->row(text_of(41), Rng(3));
  EXPECT_EQ(a.text.back(), 150);
  EXPECT_EQ(a.labels.back(), 150);
  EXPECT_EQ(a.ids.front(), 0);
  EXPECT_EQ(restored({a.text.begin(), a.text.end() - 1}, {a.labels.begin(), a.labels.end() - 1},
                     299, 100),
            text_of(40));
  Ids joined = a.text;
  joined.insert(joined.end(), a.labels.begin(), a.labels.end() - 1);
  for (const auto* body : {&prefix, &plain}) {
    const Row b = make_row_format(config, *body, 40)->row(text_of(41), Rng(3));
    EXPECT_EQ(b.ids, joined);
    EXPECT_EQ(b.prefix, body == &prefix ? static_cast<int64_t>(a.text.size()) : 0);
    EXPECT_TRUE(std::all_of(b.labels.begin(),
                            b.labels.begin() + static_cast<long>(a.text.size()) - 1,
                            [](int32_t l) { return l == -1; }));
    EXPECT_TRUE(std::equal(a.labels.begin(), a.labels.end(),
                           b.labels.begin() + static_cast<long>(a.text.size()) - 1));
  }
}

TEST(RowFormats, Ul2MixesItsDenoisers) {
  const auto config =
      section(R"({"name": "ul2", "mode_token_ids": [200, 201, 202], "sentinels": 90})");
  const auto o = make_row_format(config, model_of("encoder_decoder"), 128);
  std::map<int32_t, int> modes;
  std::set<size_t> lengths;
  for (uint64_t seed = 0; seed < 700; ++seed) {
    const Row e = o->row(text_of(129, 10), Rng(seed));
    ++modes[e.text.front()];
    lengths.insert(e.labels.size());
    EXPECT_LE(static_cast<int64_t>(e.text.size()), o->longest().text);
    EXPECT_LE(static_cast<int64_t>(e.ids.size()), o->longest().ids);
    const Ids inputs(e.text.begin() + 1, e.text.end());
    if (e.text.front() == 202) {
      Ids all = inputs;
      all.insert(all.end(), e.labels.begin(), e.labels.end());
      EXPECT_EQ(all, text_of(128, 10));
    } else {
      EXPECT_EQ(restored(inputs, e.labels, 299, 90), text_of(128, 10));
    }
  }
  EXPECT_NEAR(modes[200], 200, 45);
  EXPECT_NEAR(modes[201], 400, 55);
  EXPECT_NEAR(modes[202], 100, 35);
  EXPECT_GE(lengths.size(), 6u);
}

TEST(RowFormats, MaskedLmHidesReplacesAndKeeps) {
  const auto config = section(R"({"mask_token_id": 299})");
  const auto o = make_row_format(config, model_of("encoder"), 200);
  int chosen = 0, hidden = 0, kept = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Row e = o->row(text_of(201), Rng(seed));
    for (size_t t = 0; t < 200; ++t) {
      const auto token = static_cast<int32_t>(t) + 1;
      if (e.labels[t] < 0) {
        EXPECT_EQ(e.ids[t], token);
        continue;
      }
      EXPECT_EQ(e.labels[t], token);
      ++chosen;
      hidden += e.ids[t] == 299;
      kept += e.ids[t] == token;
    }
  }
  EXPECT_NEAR(chosen, 3000, 200);
  EXPECT_NEAR(hidden, 0.8 * chosen, 100);
  EXPECT_NEAR(kept, 0.1 * chosen, 60);
  // The shortest text still teaches something.
  const auto tiny = make_row_format(config, model_of("encoder"), 1);
  for (uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(tiny->row(text_of(2), Rng(seed)).labels, Ids{1});
}

TEST(RowFormats, TheSameStreamGivesTheSameRow) {
  for (const auto& entry : objectives()) {
    if (entry.format == nullptr) continue;  // it has a task of its own
    ObjectiveConfig config = section(R"({"mask_token_id": 299})");
    config.name = entry.name;
    const auto o = make_row_format(config, model_of(std::string(entry.bodies[0]).c_str()), 64);
    const Row a = o->row(text_of(65), Rng(9)), b = o->row(text_of(65), Rng(9));
    EXPECT_EQ(a.ids, b.ids) << entry.name;
    EXPECT_EQ(a.labels, b.labels) << entry.name;
    EXPECT_EQ(a.text, b.text) << entry.name;
    EXPECT_EQ(a.ids.size(), a.labels.size()) << entry.name;
  }
}

TEST(RowFormats, SaysWhatDoesNotFit) {
  const auto refused = [](ObjectiveConfig config, const ModelConfig& model, int64_t seq_len = 64) {
    return error_text([&] { check_objective(config, model, seq_len); });
  };
  EXPECT_EQ(refused(objective("next_token"), model_of("encoder")),
            "[objective.name] next_token cannot train body = \"encoder\"; it is for decoder, "
            "prefix_decoder");
  EXPECT_NE(refused(objective("masked_lm"), model_of("decoder")).find("it is for encoder"),
            std::string::npos);
  EXPECT_NE(refused({}, model_of("encoder")).find("[objective.mask_token_id]"), std::string::npos);
  EXPECT_NE(refused(objective("span_corruption"), model_of("decoder", 90)).find("sentinels use up"),
            std::string::npos);
  const auto few = section(R"({"name": "span_corruption", "sentinels": 2})");
  EXPECT_NE(refused(few, model_of("decoder")).find("3 spans of a text need a sentinel each"),
            std::string::npos);
  ModelConfig headless = model_of("encoder_decoder");
  headless.pad_token_id.reset();
  EXPECT_NE(refused({}, headless).find("[model.decoder_start_token_id]"), std::string::npos);
  ModelConfig shorter = model_of("decoder");
  shorter.max_position_embeddings = 64;
  EXPECT_NE(refused(objective("span_corruption"), shorter).find("rows of up to 69 tokens"),
            std::string::npos)
      << refused(objective("span_corruption"), shorter);
  const auto modes = section(R"({"name": "ul2", "mode_token_ids": [1, 2]})");
  EXPECT_NE(refused(modes, model_of("decoder")).find("2 ids, expected 3"), std::string::npos);
  const auto o = make_row_format(objective("span_corruption"), model_of("decoder"), 8);
  EXPECT_NE(error_text([&] { o->row(text_of(9, 195), Rng(1)); }).find("the text has token 200"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
