#include "lathe/text/split/digits.h"

#include <array>

#include "lathe/text/split/char_class.h"

namespace lathe {
namespace {

using text_json::Json;

Json isolated(std::string_view regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

constexpr std::array<DigitPolicy, 4> kTable = {{
    {"none", "numbers are cut as the rest of the text is", "", [] { return Json(); }},
    {"single", "every digit is a piece", "Touvron et al. 2023, arXiv:2302.13971",
     [] {
       return Json{{"type", "Digits"}, {"individual_digits", true}};
     }},
    {"threes", "pieces of three digits from the left: 123 456 7", "GPT-4's expression",
     [] { return isolated(R"(\p{N}{1,3})"); }},
    {"threes_from_right", "pieces of three digits from the right: 1 234 567",
     "Singh and Strouse 2024, arXiv:2402.14903", [] { return isolated(kThreesFromTheRight); }},
}};

class ThreesFromTheRight : public Splitter {
 public:
  void split(std::string_view text, std::vector<Piece>& out) const override {
    const CharClasses& classes = CharClasses::get();
    const uint8_t *begin = as_bytes(text), *end = begin + text.size(), *p = begin;
    const auto push = [&](const uint8_t* from, const uint8_t* to) {
      if (from < to)
        out.push_back({static_cast<size_t>(from - begin), static_cast<size_t>(to - begin)});
    };
    while (p < end) {
      const uint8_t* number = classes.skip(p, end, static_cast<uint8_t>(~kNumber));
      push(p, number);
      p = classes.skip(number, end, kNumber);
      push_number(number, p, push);
    }
  }

 private:
  // [p, end) holds numbers only.
  template <class Push>
  static void push_number(const uint8_t* p, const uint8_t* end, Push&& push) {
    size_t left = 0;
    for (const uint8_t* q = p; q < end; q += decode_utf8(q, end).size) ++left;
    const uint8_t* from = p;
    while (p < end) {
      p += decode_utf8(p, end).size;
      if (--left % 3 != 0) continue;
      push(from, p);
      from = p;
    }
  }
};

}  // namespace

const std::span<const DigitPolicy> kDigitPolicies = kTable;

std::unique_ptr<Splitter> threes_from_the_right() { return std::make_unique<ThreesFromTheRight>(); }

}  // namespace lathe
