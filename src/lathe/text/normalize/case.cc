// Lowercase, and the case folding of NFKC_CF.
#include <unicode/uchar.h>

#include "lathe/text/library_class.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/rewrite.h"

namespace lathe {
namespace {

constexpr AsciiSet kCapitals = ascii_set([](char32_t c) { return c >= 'A' && c <= 'Z'; });

void put(Rewrite& rewrite, size_t begin, size_t end, char32_t c) {
  std::string with;
  append_utf8(with, c);
  rewrite.replace(begin, end, with);
}

class Lowercase : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    return rewrite_characters(text, out, start, kCapitals,
                              [](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
                                if (c == 0x130) return rewrite.replace(begin, end, "i\u0307");
                                if (const char32_t small = lower_case(c); small != c)
                                  put(rewrite, begin, end, small);
                              });
  }
};

class FoldCase : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    return rewrite_characters(
        text, out, start, kCapitals, [](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
          if (c == kInvalidByte) return;
          const UChar32 folded = u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT);
          if (folded != static_cast<UChar32>(c))
            put(rewrite, begin, end, static_cast<char32_t>(folded));
        });
  }
};

}  // namespace

std::unique_ptr<Normalizer::Step> lowercase_step() { return std::make_unique<Lowercase>(); }
std::unique_ptr<Normalizer::Step> fold_case_step() { return std::make_unique<FoldCase>(); }

void make_lowercase(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(lowercase_step());
}

}  // namespace lathe
