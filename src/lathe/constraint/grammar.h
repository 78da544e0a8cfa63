// What a constraint allows, as a machine over bytes: rules, each a small automaton of nodes, that call
// each other. A text is allowed if the machine reads it from the start of the root rule to its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/constraint/char_set.h"

namespace lathe::constraint {

using NodeId = uint32_t;

inline constexpr uint32_t kUnbounded = UINT32_MAX;
inline constexpr size_t kMaxNodes = 200'000;

// A token by itself, as bytes: 0xFF and its id in four times seven bits. No text in UTF-8 has that byte and all
// these are of one length, so neither letters nor another token can be read as it.
inline constexpr char kTokenMark = '\xFF';
inline constexpr size_t kTokenBytes = 5;
inline constexpr int32_t kMaxMarkedToken = (1 << 28) - 1;
std::string token_as_bytes(int32_t id);
// The token that these bytes begin with.
int32_t token_from_bytes(std::string_view bytes);

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
