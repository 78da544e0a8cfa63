#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/rewrite.h"

namespace lathe {
namespace {

// U+0085 and U+00A0 are neither; so SentencePiece has it.
constexpr bool is_dropped(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         c == 0x8F || c == 0x9F;
}

constexpr bool is_space(char32_t c) {
  return c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == 0xFFFD;
}

constexpr AsciiSet kAscii = ascii_set([](char32_t c) { return is_dropped(c) || is_space(c); });

class Nmt : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    return rewrite_characters(text, out, start, kAscii,
                              [](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
                                if (is_dropped(c)) rewrite.replace(begin, end, "");
                                if (is_space(c)) rewrite.replace(begin, end, " ");
                              });
  }
};

}  // namespace

void make_nmt(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<Nmt>());
}

}  // namespace lathe
