#include "lathe/constraint/char_set.h"

#include <algorithm>
#include <array>

#include "lathe/base/utf8.h"

namespace lathe::constraint {
namespace {

constexpr CodeRange kSurrogates = {0xD800, 0xDFFF};
constexpr char32_t kLast = 0x10FFFF;

ByteRanges encoded(const CodeRange& range) {
  std::string low, high;
  append_utf8(low, range.low);
  append_utf8(high, range.high);
  ByteRanges out;
  for (size_t i = 0; i < low.size(); ++i)
    out.push_back({static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])});
  return out;
}

// Cuts a range whose characters have forms of one length where the bytes behind the first are not
// all of a range.
void add_sequences(CodeRange range, int length, std::vector<ByteRanges>& out) {
  for (int i = 1; i < length; ++i) {
    const char32_t mask = (char32_t{1} << (6 * i)) - 1;
    if ((range.low & ~mask) == (range.high & ~mask)) continue;
    if ((range.low & mask) != 0) {
      add_sequences({range.low, range.low | mask}, length, out);
      add_sequences({(range.low | mask) + 1, range.high}, length, out);
      return;
    }
    if ((range.high & mask) != mask) {
      add_sequences({range.low, (range.high & ~mask) - 1}, length, out);
      add_sequences({range.high & ~mask, range.high}, length, out);
      return;
    }
  }
  out.push_back(encoded(range));
}

}  // namespace

CharSet::CharSet(std::initializer_list<CodeRange> ranges) : ranges_(ranges) { tidy(); }

CharSet CharSet::of(std::string_view utf8) {
  CharSet out;
  for (size_t at = 0; at < utf8.size();) {
    const CodePoint c = decode_utf8(as_bytes(utf8) + at, as_bytes(utf8) + utf8.size());
    out.ranges_.push_back({c.value, c.value});
    at += c.size;
  }
  out.tidy();
  return out;
}

const CharSet& CharSet::all() {
  static const CharSet set = {{0, kLast}};
  return set;
}

void CharSet::add(CodeRange range) {
  ranges_.push_back(range);
  tidy();
}

void CharSet::add(const CharSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  tidy();
}

// Ascending, joined where they touch, without surrogates.
void CharSet::tidy() {
  std::vector<CodeRange> parts;
  for (const CodeRange& r : ranges_) {
    const char32_t high = std::min(r.high, kLast);
    if (r.low < kSurrogates.low && r.low <= high)
      parts.push_back({r.low, std::min<char32_t>(high, kSurrogates.low - 1)});
    if (high > kSurrogates.high)
      parts.push_back({std::max<char32_t>(r.low, kSurrogates.high + 1), high});
  }
  std::ranges::sort(parts, {}, &CodeRange::low);
  ranges_.clear();
  for (const CodeRange& r : parts) {
    if (!ranges_.empty() && r.low <= ranges_.back().high + 1)
      ranges_.back().high = std::max(ranges_.back().high, r.high);
    else
      ranges_.push_back(r);
  }
}

CharSet CharSet::without(const CharSet& other) const {
  CharSet out;
  for (const CodeRange& r : ranges_) {
    char32_t at = r.low;
    for (const CodeRange& gone : other.ranges_) {
      if (gone.high < at || gone.low > r.high) continue;
      if (gone.low > at) out.ranges_.push_back({at, gone.low - 1});
      at = gone.high + 1;
    }
    if (at <= r.high) out.ranges_.push_back({at, r.high});
  }
  out.tidy();
  return out;
}

CharSet CharSet::with(const CharSet& other) const { return without(other.complement()); }

bool CharSet::has(char32_t c) const {
  return std::ranges::any_of(ranges_,
                             [c](const CodeRange& r) { return r.low <= c && c <= r.high; });
}

std::vector<ByteRanges> utf8_sequences(const CharSet& set) {
  constexpr std::array<char32_t, 4> kLengthEnds = {0x7F, 0x7FF, 0xFFFF, kLast};
  std::vector<ByteRanges> out;
  for (const CodeRange& range : set.ranges()) {
    char32_t low = range.low;
    for (int i = 0; i < 4 && low <= range.high; ++i) {
      if (low > kLengthEnds[static_cast<size_t>(i)]) continue;
      const char32_t high = std::min(range.high, kLengthEnds[static_cast<size_t>(i)]);
      add_sequences({low, high}, i + 1, out);
      low = high + 1;
    }
  }
  return out;
}

std::vector<ByteRanges> digit_sequences(uint64_t low, uint64_t high, int digits, uint32_t base) {
  if (low > high) return {};
  if (digits == 0) return {{}};
  uint64_t unit = 1;
  for (int i = 1; i < digits; ++i) unit *= base;
  std::vector<ByteRanges> out;
  const auto add = [&](uint64_t first, uint64_t last, uint64_t rest_low, uint64_t rest_high) {
    for (const ByteRanges& rest : digit_sequences(rest_low, rest_high, digits - 1, base)) {
      ByteRanges all = {{static_cast<uint8_t>(first), static_cast<uint8_t>(last)}};
      all.insert(all.end(), rest.begin(), rest.end());
      out.push_back(std::move(all));
    }
  };
  uint64_t first = low / unit, last = high / unit;
  if (first == last) {
    add(first, last, low % unit, high % unit);
    return out;
  }
  if (low % unit != 0) {
    add(first, first, low % unit, unit - 1);
    ++first;
  }
  const bool cut = high % unit != unit - 1;
  if (first + (cut ? 1 : 0) <= last) add(first, last - (cut ? 1 : 0), 0, unit - 1);
  if (cut) add(last, last, 0, high % unit);
  return out;
}

}  // namespace lathe::constraint
