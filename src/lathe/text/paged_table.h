// A value for every code point, in two stages of 256: a page for every block, equal pages shared.
// Unicode's properties make a few dozen different pages. Immutable, hence thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace lathe {

template <class T>
class PagedTable {
 public:
  using Page = std::array<T, 256>;

  // `value` is a pure function of a code point. It is asked only once for a block in which all code
  // points are unassigned (planes 4 to 13) or private (planes 15 and 16).
  template <class F>
  explicit PagedTable(F&& value) {
    std::map<Page, uint16_t> known;
    for (uint32_t block = 0; block < kBlocks; ++block) {
      Page page;
      const char32_t first = block << 8;
      const bool private_use = block >= 0xF00 && (block & 0xFF) != 0xFF;
      if ((block >= 0x400 && block < 0xE00) || private_use) {
        page.fill(value(first));
      } else {
        for (uint32_t i = 0; i < 256; ++i) page[i] = value(first | i);
      }
      const auto [at, added] = known.try_emplace(page, static_cast<uint16_t>(pages_.size()));
      if (added) pages_.push_back(page);
      page_of_[block] = at->second;
    }
  }

  // Requires c < 0x110000.
  T operator[](char32_t c) const { return pages_[page_of_[c >> 8]][c & 0xFF]; }
  T of_latin1(uint8_t c) const { return pages_[0][c]; }  // U+0000 to U+00FF

 private:
  static constexpr uint32_t kBlocks = 0x1100;
  std::vector<Page> pages_;  // page 0 is block 0
  std::array<uint16_t, kBlocks> page_of_{};
};

}  // namespace lathe
