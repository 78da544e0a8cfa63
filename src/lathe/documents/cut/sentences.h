// Where sentences end: the break rules of Unicode (UAX #29) by ICU, without breaks behind English abbreviations.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lathe {

// The bytes at which sentences of a UTF-8 text end, the last one its size; empty for an empty text. What blanks follow a
// sentence belongs to it. Throws kData if ICU lacks its rules.
std::vector<int64_t> sentence_ends(std::string_view text);

}  // namespace lathe
