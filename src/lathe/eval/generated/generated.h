// Tasks whose answers are known because they are made: what models of 1 to 100 million parameters can be measured on,
// where questions of public benchmarks are noise.
//
// A kind has a size, by which its items become harder; a file of several sizes shows how far a skill reaches beyond
// those that were trained. Item i of a seed is the same however many are made, and no prompt comes twice. `chance` is
// how often a guess is right that knows what an answer looks like, and the words of the prompt, but not the rule.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"

namespace lathe {

class Haystack;  // haystack.h

struct GeneratedItem {
  std::string prompt, target;  // a text is the prompt and, at once, the target
  double chance = 0;
  int64_t size = 0, depth = 0;  // set by make_items(); depth: of kinds that have one
};

// What an item is to be like.
struct ItemShape {
  int64_t size = 0;
  // Of kinds in a text alone:
  int64_t depth = 0;  // where in it, in per cent of its words
  int64_t distractors = 0;
  const Haystack* text = nullptr;  // null: made sentences
};

struct GeneratedKind {
  std::string_view name, summary;
  std::string_view size;  // what it counts
  int64_t smallest, largest;
  GeneratedItem (*make)(const Rng& rng, const ItemShape& shape);  // pure
  bool in_text = false;
};

std::span<const GeneratedKind> generated_kinds();

struct GeneratedOptions {
  std::vector<int64_t> sizes = {4};  // they take turns; once all had theirs, the next depth begins
  int64_t items = 100;
  int64_t shots = 0;  // solved ones of the same kind, in the lines before each
  uint64_t seed = 0;
  // Of kinds in a text alone.
  std::vector<int64_t> depths = {50};
  int64_t distractors = 0;
  const Haystack* text = nullptr;  // must outlive make_items()
};

// Calls use(item) for one after the other. Throws kConfig for a size that the kind does not have, and where it has
// fewer different prompts than are asked for; kData for a text that is too short.
void make_items(const GeneratedKind& kind, const GeneratedOptions& options,
                const std::function<void(const GeneratedItem&)>& use);

}  // namespace lathe
