#include "lathe/corpus/word_hashes.h"

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr uint64_t kBegin = 0xCBF29CE484222325ull, kPrime = 0x100000001B3ull;  // FNV-1a

bool is_ascii_word(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// Punctuation, spaces and symbols beyond ASCII, by their blocks.
bool is_separator(char32_t c) {
  return (c >= 0x80 && c < 0xC0 && c != 0xAA && c != 0xB5 && c != 0xBA) || c == 0xD7 || c == 0xF7 ||
         (c >= 0x2000 && c < 0x2C00) || (c >= 0x3000 && c < 0x3005) ||
         (c >= 0x3008 && c < 0x3020) || c == 0x30FB || (c >= 0xFE30 && c < 0xFE50) ||
         (c >= 0xFF00 && c < 0xFF10) || (c >= 0xFF1A && c < 0xFF21) ||
         (c >= 0xFF3B && c < 0xFF41) || (c >= 0xFF5B && c < 0xFF66) ||
         (c >= 0x1F000 && c < 0x20000) || c == kInvalidByte;
}

bool stands_alone(char32_t c) {
  return (c >= 0x2E80 && c < 0x3000) || (c >= 0x3005 && c < 0x3100) ||
         (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0x20000 && c < 0x32000) || (c >= 0x0E00 && c < 0x0E80);
}

}  // namespace

std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> words;
  uint64_t hash = kBegin;
  bool open = false;
  const auto end_word = [&] {
    if (open) words.push_back(mixed(hash));
    hash = kBegin;
    open = false;
  };
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    p += c.size;
    const bool word = c.value < 0x80 ? is_ascii_word(c.value) : !is_separator(c.value);
    const bool alone = word && stands_alone(c.value);
    if (!word || alone) end_word();
    if (!word) continue;
    const uint32_t lower = c.value >= 'A' && c.value <= 'Z' ? c.value + 32 : c.value;
    hash = (hash ^ lower) * kPrime;
    open = true;
    if (alone) end_word();
  }
  end_word();
  return words;
}

std::vector<uint64_t> ngram_hashes(std::span<const uint64_t> words, size_t n) {
  std::vector<uint64_t> all;
  for (size_t i = 0; i + n <= words.size(); ++i) {
    uint64_t hash = kBegin;
    for (const uint64_t word : words.subspan(i, n)) hash = mixed(hash ^ word) * kPrime;
    all.push_back(mixed(hash));
  }
  return all;
}

}  // namespace lathe
