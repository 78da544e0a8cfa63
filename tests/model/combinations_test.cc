// The matrix of combinations: what it refuses is refused for reasons that stand here.

#include "lathe/model/combinations.h"

#include <gtest/gtest.h>

#include <set>

#include "model/grid.h"

namespace lathe::testing {
namespace {

// Every reason that appears in docs/combinations.md. A new one belongs here, and in the test of its
// own component when its condition is more than a pair of choices.
std::set<std::string> known_reasons() {
  std::set<std::string> reasons = {
      "[model.moe.router] expert_choice lets later tokens decide which expert an earlier one gets; "
      "use softmax_topk, or moe.allow_non_causal = true if that is what you study",
      "[model.position.kind] shaw adds vectors to keys and values, which latent attention does not "
      "keep; use \"rope\"",
      "[model.position.partial_rotary_factor] attention.qk_rope_head_dim says how many channels "
      "rotate; use 1",
      "[model.parallel_block] the cross-attention of an encoder_decoder comes between attention "
      "and feed-forward; use \"none\"",
      "[model.position.rope_places] \"blank\" rotates two halves of the channels in pairs, but 2 "
      "rotate; use a multiple of 4 (head_dim, partial_rotary_factor, qk_rope_head_dim)",
  };
  for (const char* body : {"prefix_decoder", "encoder_decoder", "encoder"})
    reasons.insert(
        fmt::format("[model.position.alibi] \"falcon\" favours later keys, and in body = \"{}\" "
                    "some tokens see "
                    "what comes after them; use \"distance\"",
                    body));
  for (const char* body : {"encoder_decoder", "encoder"})
    for (const char* type : {"strided_attention", "fixed_attention"})
      reasons.insert(
          fmt::format("[model.layer_types] {} layers only look back, but body = \"{}\" has a stack "
                      "that attends in both directions; use \"sliding_attention\"",
                      type, body));
  for (const char* placement : {"post", "sandwich", "branch", "deepnorm", "glm"})
    reasons.insert(fmt::format(
        "[model.parallel_block] parallel attention and feed-forward need the norm before them, but "
        "norm.placement is \"{}\"; use \"pre\", or parallel_block = \"none\"",
        placement));
  return reasons;
}

TEST(Combinations, AreRefusedForKnownReasons) {
  std::set<std::string> found;
  size_t works = 0;
  for (const Meeting& m : all_meetings(dimensions())) {
    works += m.refusal.empty();
    if (!m.refusal.empty()) found.insert(m.refusal);
  }
  EXPECT_EQ(found, known_reasons());
  EXPECT_GT(works, 1300u);
}

// The covering sets of grid.h rely on it: something can always join.
TEST(Combinations, TheFirstChoiceGoesWithEverything) {
  const auto dims = dimensions();
  for (const Meeting& m : all_meetings(dims)) {
    ModelConfig alone = tiny_config(), other_alone = tiny_config();
    dims[m.dimension].choices[m.choice].apply(alone);
    dims[m.other_dimension].choices[m.other_choice].apply(other_alone);
    if (m.choice == 0 && refusal_of(other_alone).empty()) {
      EXPECT_EQ(m.refusal, "");
    }
    if (m.other_choice == 0 && refusal_of(alone).empty()) {
      EXPECT_EQ(m.refusal, "");
    }
  }
}

TEST(Combinations, ChoicesHaveNamesOfTheirOwn) {
  std::set<std::string> dimension_names;
  for (const Dimension& d : dimensions()) {
    EXPECT_TRUE(dimension_names.insert(d.name).second) << d.name;
    std::set<std::string> names;
    for (const Choice& c : d.choices) EXPECT_TRUE(names.insert(c.name).second) << c.name;
  }
}

// What is covered is everything that works: each choice that works with anything is in some model.
TEST(Combinations, EveryChoiceThatWorksIsInTheGrid) {
  const auto dims = dimensions();
  std::set<std::pair<size_t, size_t>> working, covered;
  for (const Meeting& m : all_meetings(dims)) {
    if (!m.refusal.empty()) continue;
    working.insert({m.dimension, m.choice});
    working.insert({m.other_dimension, m.other_choice});
  }
  for (const Pick& p : Covering(dims, 2).picks()) {
    EXPECT_EQ(refusal_of(variant_of(dims, p).config), "");
    for (size_t d = 0; d < dims.size(); ++d) covered.insert({d, p[d]});
  }
  EXPECT_EQ(covered, working);
}

}  // namespace
}  // namespace lathe::testing
