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
  };
  for (const char* placement : {"post", "sandwich", "branch", "deepnorm"})
    reasons.insert(fmt::format(
        "[model.parallel_block] attention and feed-forward side by side read one norm before them, "
        "but norm.placement is \"{}\"; use \"pre\", or parallel_block = \"none\"",
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

// What is covered is everything that works: each choice that is not refused alone is in some model.
TEST(Combinations, EveryChoiceThatWorksIsInTheGrid) {
  const auto dims = dimensions();
  const std::vector<Pick> picks = Covering(dims, 2).picks();
  for (size_t d = 0; d < dims.size(); ++d)
    for (size_t c = 0; c < dims[d].choices.size(); ++c) {
      ModelConfig config = tiny_config();
      dims[d].choices[c].apply(config);
      const bool covered = std::ranges::any_of(picks, [&](const Pick& p) { return p[d] == c; });
      EXPECT_EQ(covered, refusal_of(config).empty())
          << dims[d].name << " " << dims[d].choices[c].name;
    }
  for (const Pick& p : picks) EXPECT_EQ(refusal_of(variant_of(dims, p).config), "");
}

}  // namespace
}  // namespace lathe::testing
