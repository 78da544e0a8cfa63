// Texts by characters, as Python's `str` sees them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe::jinja {

bool is_ascii(std::string_view text);
// White space of str.isspace() and str.strip().
bool is_space(char32_t c);
// Whether str.splitlines() ends a line there.
bool ends_line(char32_t c);
bool is_printable(char32_t c);
// \w of regular expressions, without the underscore.
bool is_word_character(char32_t c);
// str.isupper() or str.islower(): all that has a case has this one, and something has.
bool has_case(std::string_view text, bool upper);

std::vector<char32_t> characters_of(std::string_view text);
std::string text_of(const std::vector<char32_t>& characters);

// The byte at which character `index` begins; the size for one behind the end.
size_t byte_of(std::string_view text, size_t index);

std::string upper_case(std::string_view text);
std::string lower_case_of(std::string_view text);
// The first character in title case, the others in lower case.
std::string capitalized(std::string_view text);
std::string title_case(std::string_view text);
std::string swapped_case(std::string_view text);
std::string case_folded(std::string_view text);

// Without the characters for which `drop` holds at the ends.
using Drop = std::function<bool(char32_t)>;
std::string_view strip_left(std::string_view text, const Drop& drop = is_space);
std::string_view strip_right(std::string_view text, const Drop& drop = is_space);
std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends = false);

// <, >, &, " and ' as references.
std::string escaped(std::string_view text);
// At most `count` times if it is not negative. Stops, with more than `most` bytes, where the result
// would have more: the caller refuses those.
std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     int64_t count, size_t most);

}  // namespace lathe::jinja
