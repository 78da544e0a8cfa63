#include "lathe/text/byte_alphabet.h"

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr char32_t kLastExtra = 0x143;  // 0x100 + 68 - 1

constexpr bool stands_for_itself(uint32_t b) {
  return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

constexpr std::array<char32_t, 256> make_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t extra = 0x100;
  for (uint32_t b = 0; b < 256; ++b) alphabet[b] = stands_for_itself(b) ? b : extra++;
  return alphabet;
}

constexpr std::array<char32_t, 256> kAlphabet = make_alphabet();

// Byte of each character up to kLastExtra, or -1.
constexpr std::array<int16_t, kLastExtra + 1> make_inverse() {
  std::array<int16_t, kLastExtra + 1> inverse{};
  for (int16_t& b : inverse) b = -1;
  for (int16_t b = 0; b < 256; ++b) inverse[kAlphabet[static_cast<size_t>(b)]] = b;
  return inverse;
}

constexpr std::array<int16_t, kLastExtra + 1> kInverse = make_inverse();

}  // namespace

const std::array<char32_t, 256>& byte_alphabet() { return kAlphabet; }

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char b : bytes) append_utf8(text, kAlphabet[static_cast<uint8_t>(b)]);
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value > kLastExtra || kInverse[c.value] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kInverse[c.value]));
    p += c.size;
  }
  return bytes;
}

}  // namespace lathe
