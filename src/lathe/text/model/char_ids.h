// From code points to ids, in two stages of 256. Internal to text/.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace lathe {

class CharIds {
 public:
  CharIds() : pages_(1) { pages_[0].fill(-1); }
  // `c` is at most U+10FFFF.
  void set(char32_t c, int32_t id) {
    uint16_t& page = page_of_[c >> 8];
    if (page == 0) {
      page = static_cast<uint16_t>(pages_.size());
      pages_.push_back(pages_[0]);
    }
    pages_[page][c & 0xFF] = id;
  }
  // -1 without an id.
  int32_t find(char32_t c) const { return c < 0x110000 ? pages_[page_of_[c >> 8]][c & 0xFF] : -1; }

 private:
  using Page = std::array<int32_t, 256>;
  std::vector<Page> pages_;  // page 0 is empty and shared
  std::array<uint16_t, 0x1100> page_of_{};
};

}  // namespace lathe
