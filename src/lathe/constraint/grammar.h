// What a constraint allows, as a machine over bytes: rules, each a small automaton of nodes, that call
// each other. A text is allowed if the machine reads it from the start of the root rule to its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lathe/constraint/char_set.h"

namespace lathe::constraint {

using NodeId = uint32_t;

inline constexpr uint32_t kUnbounded = UINT32_MAX;
inline constexpr size_t kMaxNodes = 200'000;

struct GrammarNode {
  enum class Kind : uint8_t {
    kBytes,   // one of `edges` by the next byte
    kSplit,   // any of `targets`
    kCall,    // the rule that begins at `start`, then `next`
    kRepeat,  // what begins at `start`, `min` to `max` times, then `next`
    kEnd,     // of a rule
  };
  struct Edge {
    ByteRange bytes;
    NodeId target;
  };
  Kind kind = Kind::kEnd;
  std::vector<Edge> edges = {};
  std::vector<NodeId> targets = {};
  NodeId start = 0, next = 0;
  uint32_t min = 0, max = 0;
};

// Immutable. Every node can reach the end of its rule; no rule calls itself before it has read a
// byte.
struct Grammar {
  std::vector<GrammarNode> nodes;
  NodeId start = 0;
};

}  // namespace lathe::constraint
