// Whether texts fit a grammar, and small vocabularies.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/constraint/constraint.h"

namespace lathe::testing {

// The 256 bytes, and behind them `more`; the last id ends an answer. Forced text is taken byte by byte.
inline std::shared_ptr<const TokenVocabulary> byte_vocabulary(std::vector<std::string> more = {}) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  tokens.insert(tokens.end(), more.begin(), more.end());
  tokens.emplace_back();
  const auto end = static_cast<int32_t>(tokens.size() - 1);
  return std::make_shared<TokenVocabulary>(std::move(tokens), std::vector<int32_t>{end},
                                           [](std::string_view text) {
                                             std::vector<int32_t> ids;
                                             for (const char c : text)
                                               ids.push_back(static_cast<uint8_t>(c));
                                             return ids;
                                           });
}

// "yes"; "prefix" of a text that fits; "no".
inline std::string fit(const constraint::Grammar& grammar, std::string_view text) {
  const Constraint constraint(grammar, byte_vocabulary());
  Matcher matcher = constraint.matcher();
  if (!text.empty() && !matcher.accept_bytes(text)) return "no";
  return matcher.can_end() ? "yes" : "prefix";
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace lathe::testing
