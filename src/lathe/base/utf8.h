// UTF-8, decoded strictly and without ever failing.
//
// A byte that does not start a valid sequence (overlong, surrogate, above U+10FFFF, cut short, a
// stray continuation) is one unit of its own with the value kInvalidByte. So any bytes at all are a
// sequence of units, and the units' sizes add up to the input: that is what lets arbitrary bytes
// pass through a byte-level tokenizer unchanged.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lathe {

inline constexpr char32_t kInvalidByte = 0xFFFFFFFF;

struct CodePoint {
  char32_t value;
  uint32_t size;  // bytes
};

// The unit at `p`; requires p < end.
inline CodePoint decode_utf8(const uint8_t* p, const uint8_t* end) {
  const uint32_t a = p[0];
  const auto left = end - p;
  const auto continues = [p](int i) { return (p[i] & 0xC0) == 0x80; };
  if (a < 0x80) return {a, 1};
  if (a < 0xC2) return {kInvalidByte, 1};
  if (a < 0xE0) {
    if (left < 2 || !continues(1)) return {kInvalidByte, 1};
    return {((a & 0x1F) << 6) | (p[1] & 0x3Fu), 2};
  }
  if (a < 0xF0) {
    if (left < 3 || !continues(1) || !continues(2)) return {kInvalidByte, 1};
    const char32_t c = ((a & 0x0F) << 12) | ((p[1] & 0x3Fu) << 6) | (p[2] & 0x3Fu);
    if (c < 0x800 || (c >= 0xD800 && c < 0xE000)) return {kInvalidByte, 1};
    return {c, 3};
  }
  if (a < 0xF5) {
    if (left < 4 || !continues(1) || !continues(2) || !continues(3)) return {kInvalidByte, 1};
    const char32_t c =
        ((a & 0x07) << 18) | ((p[1] & 0x3Fu) << 12) | ((p[2] & 0x3Fu) << 6) | (p[3] & 0x3Fu);
    if (c < 0x10000 || c > 0x10FFFF) return {kInvalidByte, 1};
    return {c, 4};
  }
  return {kInvalidByte, 1};
}

// The unit that ends at `p`; requires begin < p. Agrees with decoding forwards on valid text; in
// invalid text it may see one unit where the forward direction sees several single bytes.
inline CodePoint decode_utf8_before(const uint8_t* begin, const uint8_t* p) {
  const uint8_t* start = p - 1;
  for (int i = 0; i < 3 && start > begin && (*start & 0xC0) == 0x80; ++i) --start;
  const CodePoint c = decode_utf8(start, p);
  if (start + c.size == p) return c;
  return {kInvalidByte, 1};
}

// Eight bytes, the first of which is the lowest of the number.
inline uint64_t load_word(const uint8_t* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof(word));
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

// The first byte from `p` on that is not ASCII, or `end`.
inline const uint8_t* skip_ascii(const uint8_t* p, const uint8_t* end) {
  for (; end - p >= 8; p += 8)
    if (const uint64_t high = load_word(p) & 0x8080808080808080)
      return p + std::countr_zero(high) / 8;
  while (p < end && *p < 0x80) ++p;
  return p;
}

// Appends the UTF-8 form of a code point up to U+10FFFF.
void append_utf8(std::string& out, char32_t c);

bool is_valid_utf8(std::string_view text);

// Code points; a byte that is not UTF-8 counts as one.
int64_t count_characters(std::string_view text);

// How many bytes at the end of `text` begin a sequence that further bytes could complete (0 to 3).
size_t incomplete_utf8_tail(std::string_view text);

// `text` with every invalid byte replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// The same as other programs show it (Unicode 15, section 3.9; Python, browsers): a sequence that is cut short is one
// U+FFFD, however many of its bytes are there.
std::string readable_utf8(std::string_view text);

inline const uint8_t* as_bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace lathe
