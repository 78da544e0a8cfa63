// BertNormalizer: up to four steps, of which this file has those that no other normaliser has.
#include "lathe/text/library_class.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/rewrite.h"

namespace lathe {
namespace {

// Drops control characters and makes all white space a space (`clean`); puts spaces around
// ideographs (`ideographs`).
class CleanText : public Normalizer::Step {
 public:
  CleanText(bool clean, bool ideographs) : clean_(clean), ideographs_(ideographs) {
    if (clean) ascii_ = ascii_set([](char32_t c) { return c < 0x20 || c == 0x7F; });
  }

  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    const LibraryClasses& classes = LibraryClasses::get();
    return rewrite_characters(text, out, start, ascii_,
                              [&](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
                                const uint16_t bits = classes.of(c);
                                if (clean_ && ((bits & kControl) || c == 0 || c == 0xFFFD)) {
                                  // White space is asked for second: U+0085 and its kin are dropped.
                                  rewrite.replace(begin, end, "");
                                } else if (clean_ && (bits & kWhiteSpace)) {
                                  rewrite.replace(begin, end, " ");
                                } else if (ideographs_ && (bits & kIdeograph)) {
                                  rewrite.replace(begin, begin, " ");
                                  rewrite.replace(end, end, " ", begin);
                                }
                              });
  }

 private:
  bool clean_, ideographs_;
  AsciiSet ascii_{};
};

class DropNonspacing : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    const LibraryClasses& classes = LibraryClasses::get();
    return rewrite_characters(text, out, start, AsciiSet{},
                              [&](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
                                if (classes.of(c) & kNonspacing) rewrite.replace(begin, end, "");
                              });
  }
};

}  // namespace

void make_bert_normalizer(const text_json::Json& json, const NormalizerSteps& to) {
  const bool clean = text_json::get_bool(json, "clean_text", to.origin);
  const bool ideographs = text_json::get_bool(json, "handle_chinese_chars", to.origin);
  const bool lowercase = text_json::get_bool(json, "lowercase", to.origin);
  // Unless the file says: accents go where capitals go.
  const bool accents = text_json::get_bool(json, "strip_accents", lowercase, to.origin);
  if (clean || ideographs) to.steps.push_back(std::make_unique<CleanText>(clean, ideographs));
  if (accents) {
    to.steps.push_back(nfd_step());
    to.steps.push_back(std::make_unique<DropNonspacing>());
  }
  if (lowercase) to.steps.push_back(lowercase_step());
}

}  // namespace lathe
