// Tasks whose answers are known because they are made: what models of 1 to 100 million parameters can be measured on,
// where questions of public benchmarks are noise.
//
// A kind has a size, by which its items become harder; a file of several sizes shows how far a skill reaches beyond
// those that were trained. Item i of a seed is the same however many are made, and no prompt comes twice. `chance` is
// how often a guess is right that knows what an answer looks like, and the words of the prompt, but not the rule.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"

namespace lathe {

struct GeneratedItem {
  std::string prompt, target;  // a text is the prompt and, at once, the target
  double chance = 0;
  int64_t size = 0;  // set by make_items()
};

struct GeneratedKind {
  std::string_view name, summary;
  std::string_view size;  // what it counts
  int64_t smallest, largest;
  GeneratedItem (*make)(const Rng& rng, int64_t size);  // pure
};

std::span<const GeneratedKind> generated_kinds();

struct GeneratedOptions {
  int64_t size = 4, items = 100;
  std::optional<int64_t> last_size = {};  // the sizes up to this one take turns
  int64_t shots = 0;                      // solved ones of the same kind, in the lines before each
  uint64_t seed = 0;
};

// Calls use(item) for one after the other. Throws kConfig for a size that the kind does not have, and where it has
// fewer different prompts than are asked for.
void make_items(const GeneratedKind& kind, const GeneratedOptions& options,
                const std::function<void(const GeneratedItem&)>& use);

}  // namespace lathe
