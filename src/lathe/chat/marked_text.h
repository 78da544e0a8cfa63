// Text of a chat template with its added tokens as tokens: what a model writes between the parts that
// are free.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

// Letters, and tokens by themselves as constraints name them (constraint/grammar.h: the byte 0xFF and
// the id). Where a call's own number stands, "\xFE" stands for it.
struct MarkedText {
  static constexpr char kCallId = '\xFE';  // nine letters or digits
  static constexpr size_t kCallIdLength = 9;
  std::string bytes;

  bool empty() const { return bytes.empty(); }
  std::vector<int32_t> tokens() const;
  friend bool operator==(const MarkedText&, const MarkedText&) = default;
};

// `text` with every added token that the tokenizer finds in it. `call_id`, if not empty, is the text
// of a call's number.
MarkedText marked_text(const Tokenizer& tokenizer, std::string_view text,
                       std::string_view call_id = {});

// How far `bytes` are what a MarkedText says.
struct MarkMatch {
  enum class State : uint8_t { kNo, kPartly, kWhole } state = State::kNo;
  size_t size = 0;           // of the whole
  std::string call_id = {};  // if there is one
};
MarkMatch match(const MarkedText& wanted, std::string_view bytes);

}  // namespace lathe
