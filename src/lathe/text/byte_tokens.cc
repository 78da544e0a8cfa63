#include "lathe/text/byte_tokens.h"

#include <fmt/format.h>

#include <charconv>

namespace lathe {

std::string byte_token(uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<uint8_t> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint8_t byte = 0;
  const char *begin = token.data() + 3, *end = begin + 2;
  const auto [next, error] = std::from_chars(begin, end, byte, 16);
  if (error != std::errc() || next != end) return std::nullopt;
  return byte;
}

std::array<int32_t, 256> byte_token_ids(const Vocabulary& vocabulary) {
  std::array<int32_t, 256> ids;
  for (uint32_t b = 0; b < 256; ++b) {
    const std::string token = byte_token(static_cast<uint8_t>(b));
    const auto id = vocabulary.find(token);
    ids[b] = id ? *id : vocabulary.find_literal(token).value_or(-1);
  }
  return ids;
}

std::array<int32_t, 256> no_byte_tokens() {
  std::array<int32_t, 256> ids;
  ids.fill(-1);
  return ids;
}

}  // namespace lathe
