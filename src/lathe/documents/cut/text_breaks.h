// Where a text may be broken, by the rules of Unicode (UAX #29), from ICU.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace lathe {

enum class BreakKind : uint8_t { kWords, kSentences };

// Calls on_part(begin, end, letters) for each part of a UTF-8 text in order; `letters`: of words, whether it is one rather
// than blanks or marks. Thread-safe. Throws kData if ICU lacks its rules.
void for_each_part(std::string_view text, BreakKind kind,
                   const std::function<void(int64_t begin, int64_t end, bool letters)>& on_part);

}  // namespace lathe
