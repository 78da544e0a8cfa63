#include "lathe/text/normalize/charsmap.h"

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "character map";
constexpr size_t kWord = 4;

uint32_t little_endian(const char* p) {
  const auto* b = reinterpret_cast<const uint8_t*>(p);
  return b[0] | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

void append_little_endian(std::string& out, uint32_t word) {
  for (size_t i = 0; i < kWord; ++i) out += static_cast<char>(word >> (8 * i));
}

std::string utf8_of(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text) {
    require(c > 0 && c <= 0x10FFFF && !(c >= 0xD800 && c < 0xE000), ErrorKind::kFormat, kWhere,
            "a rule contains the code point {:#x}, expected U+0001 to U+10FFFF without surrogates",
            static_cast<uint32_t>(c));
    append_utf8(out, c);
  }
  return out;
}

}  // namespace

CharsMap CharsMap::parse(std::string_view compiled, std::string_view origin) {
  if (compiled.empty()) return {};
  require(compiled.size() > kWord, ErrorKind::kFormat, kWhere,
          "{}: the map has {} bytes, expected at least 5", origin, compiled.size());
  const size_t trie_bytes = little_endian(compiled.data());
  require(trie_bytes > 0 && trie_bytes % kWord == 0 && trie_bytes < compiled.size() - kWord,
          ErrorKind::kFormat, kWhere,
          "{}: the map says that its trie has {} bytes, expected a multiple of 4 below {}", origin,
          trie_bytes, compiled.size() - kWord);
  std::vector<uint32_t> units(trie_bytes / kWord);
  for (size_t i = 0; i < units.size(); ++i)
    units[i] = little_endian(compiled.data() + kWord * (i + 1));
  std::string pool(compiled.substr(kWord + trie_bytes));
  require(is_valid_utf8(pool), ErrorKind::kFormat, kWhere,
          "{}: the replacements of the map are not UTF-8", origin);
  return {DoubleArray(std::move(units)), std::move(pool)};
}

CharsMap CharsMap::build(const Rules& rules) {
  std::map<std::u32string, int32_t> places;
  for (const auto& [from, to] : rules) places[to] = 0;
  std::string pool;
  for (auto& [text, place] : places) {
    place = static_cast<int32_t>(pool.size());
    pool += utf8_of(text);
    pool += '\0';
  }
  std::vector<std::string> keys;
  std::vector<DoubleArray::Entry> entries;
  keys.reserve(rules.size());
  // UTF-8 is in the order of its code points, so the keys are sorted as the rules are.
  for (const auto& [from, to] : rules) {
    require(!from.empty(), ErrorKind::kFormat, kWhere,
            "a rule replaces the empty text by '{}'; expected at least one character", utf8_of(to));
    keys.push_back(utf8_of(from));
    entries.push_back({keys.back(), places.at(to)});
  }
  return {DoubleArray::build(entries, DoubleArray::Shared::kTails), std::move(pool)};
}

CharsMap::CharsMap(DoubleArray trie, std::string pool)
    : trie_(std::move(trie)), pool_(std::move(pool)), ends_(kTable / 64, 0), goes_on_(ends_) {
  if (!pool_.ends_with('\0')) pool_ += '\0';
  if (trie_.empty()) return;
  for (char32_t c = 0; c < kTable; ++c) look_at(c);
}

void CharsMap::look_at(char32_t c) {
  std::string text;
  append_utf8(text, c);
  DoubleArray::Node node = trie_.root();
  const uint64_t bit = uint64_t{1} << (c & 63);
  for (const char byte : text) {
    if (!trie_.step(node, static_cast<uint8_t>(byte))) return;
    if (node.value != DoubleArray::kNone) ends_[c >> 6] |= bit;
  }
  for (size_t b = 0; b < follows_.size(); ++b) {
    DoubleArray::Node next = node;
    if (!trie_.step(next, static_cast<uint8_t>(b))) continue;
    goes_on_[c >> 6] |= bit;
    follows_[b] = true;
  }
}

std::string CharsMap::compiled() const {
  std::string out;
  if (empty()) return out;
  append_little_endian(out, static_cast<uint32_t>(kWord * trie_.units().size()));
  for (const uint32_t unit : trie_.units()) append_little_endian(out, unit);
  return out + pool_;
}

CharsMap::Match CharsMap::match(size_t length, int32_t value) const {
  if (static_cast<size_t>(value) >= pool_.size()) return {};
  return {length, pool_.c_str() + value};
}

CharsMap::Match CharsMap::longest(const uint8_t* p, const uint8_t* end) const {
  Match best;
  trie_.for_each_prefix(p, end, [&](size_t length, int32_t value) {
    if (const Match m = match(length, value); m.length > 0) best = m;
  });
  return best;
}

CharsMap::Match CharsMap::shortest(const uint8_t* p, const uint8_t* end) const {
  if (empty()) return {};
  DoubleArray::Node node = trie_.root();
  for (const uint8_t* at = p; at < end && trie_.step(node, *at);) {
    ++at;
    if (node.value != DoubleArray::kNone) return match(static_cast<size_t>(at - p), node.value);
  }
  return {};
}

}  // namespace lathe
