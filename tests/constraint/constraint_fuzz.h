// What the fuzz targets of grammars do with one: masks and steps agree, and nothing grows without end.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "constraint/matching.h"
#include "fuzz/fuzz.h"

namespace lathe::fuzz {

inline std::pair<std::string_view, std::string_view> at_nul(std::string_view bytes) {
  const size_t end = std::min(bytes.find('\0'), bytes.size());
  return {bytes.substr(0, end), bytes.substr(std::min(end + 1, bytes.size()))};
}

// Reads the text as far as it fits, then goes on with the first tokens that the masks allow.
inline void use(constraint::Grammar grammar, std::string_view text) {
  static const auto vocabulary =
      testing::byte_vocabulary({"ab", "\", \"", "}]", "{\"", "12", "true", "\\u00", "\xC3\xA9"});
  constraint::StateLimits limits;
  limits.configurations = 256;
  limits.states = 2000;
  limits.mask_bytes = 1 << 20;
  const Constraint constraint(std::move(grammar), vocabulary, limits);
  Matcher matcher = constraint.matcher();
  size_t taken = 0;
  for (const char c : text.substr(0, 200)) {
    const auto id = static_cast<int32_t>(static_cast<uint8_t>(c));
    const bool allowed = taken < 40 ? has_bit(*matcher.mask(), id) : matcher.allows(id);
    promise(allowed == matcher.accept(id));
    if (!allowed) break;
    ++taken;
  }
  for (int step = 0; step < 20 && !matcher.finished(); ++step) {
    const auto mask = matcher.mask();
    int32_t first = 0;
    while (static_cast<size_t>(first) < vocabulary->size() && !has_bit(*mask, first)) ++first;
    promise(static_cast<size_t>(first) < vocabulary->size());  // something may always follow
    promise(matcher.accept(first));
    matcher.forced_bytes(64);
  }
  matcher.undo(matcher.undoable());
}

}  // namespace lathe::fuzz
