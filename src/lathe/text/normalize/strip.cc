// Strip and StripAccents: what is left out.
#include "lathe/text/library_class.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/rewrite.h"

namespace lathe {
namespace {

class Strip : public Normalizer::Step {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    const uint8_t *begin = as_bytes(text), *first = begin, *last = begin + text.size();
    const LibraryClasses& classes = LibraryClasses::get();
    while (left_ && first < last) {
      const CodePoint c = decode_utf8(first, last);
      if (!(classes.of(c.value) & kWhiteSpace)) break;
      first += c.size;
    }
    while (right_ && first < last) {
      const CodePoint c = decode_utf8_before(first, last);
      if (!(classes.of(c.value) & kWhiteSpace)) break;
      last -= c.size;
    }
    const auto at = static_cast<size_t>(first - begin), size = static_cast<size_t>(last - first);
    if (size == text.size()) return false;
    out.assign(text.substr(at, size));
    start = start > at ? std::min(start - at, size) : 0;
    return true;
  }

 private:
  bool left_, right_;
};

class StripAccents : public Normalizer::Step {
 public:
  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    const LibraryClasses& classes = LibraryClasses::get();
    return rewrite_characters(text, out, start, AsciiSet{},
                              [&](char32_t c, size_t begin, size_t end, Rewrite& rewrite) {
                                if (classes.of(c) & kAnyMark) rewrite.replace(begin, end, "");
                              });
  }
};

}  // namespace

void make_strip(const text_json::Json& json, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<Strip>(text_json::get_bool(json, "strip_left", to.origin),
                                             text_json::get_bool(json, "strip_right", to.origin)));
}

void make_strip_accents(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<StripAccents>());
}

}  // namespace lathe
