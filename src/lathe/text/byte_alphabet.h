// The byte alphabet of GPT-2 (Radford et al. 2019): every byte as one printable character, so that
// arbitrary bytes can be written in a JSON file. Printable Latin-1 bytes stand for themselves, the
// other 68 are U+0100 and following; a space is 'Ġ', a line feed 'Ċ'.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lathe {

// The character of each byte.
const std::array<char32_t, 256>& byte_alphabet();

// Bytes to alphabet characters, as UTF-8.
std::string to_byte_alphabet(std::string_view bytes);

// Back again; nullopt when `text` has a character outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace lathe
