// NFC, NFD, NFKC, NFKD, and NFKC_CF.
//
// The library's tables are those of Unicode 9: what is newer and would move, decompose or compose
// stands there like an ideograph, and so it does here (kAfterForms). NFKC_CF, which is ours, has
// all of ICU's Unicode 15.
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <algorithm>
#include <climits>

#include "lathe/text/library_class.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/mark_order.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "normalizer";

using Instance = const icu::Normalizer2* (*)(UErrorCode&);

const icu::Normalizer2& load(Instance instance, std::string_view name) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = instance(status);
  require(U_SUCCESS(status), ErrorKind::kIo, kWhere, "ICU cannot load {}: {}", name,
          u_errorName(status));
  return *form;
}

class UnicodeForm : public Normalizer::Step {
 public:
  UnicodeForm(std::string_view name, Instance form, Instance decomposition, uint16_t foreign)
      : name_(name),
        form_(load(form, name)),
        decomposition_(load(decomposition, name)),
        foreign_(foreign) {}

  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    std::string ordered;
    const bool long_runs = order_long_mark_runs(text, decomposition_, foreign_, ordered);
    if (!bring_to_form(long_runs ? ordered : text, out)) {
      if (!long_runs) return false;
      out = std::move(ordered);
    }
    start = start_of(text.substr(0, start), out);
    return true;
  }

 private:
  // A stretch of the text that the form may change, and the unit behind it that it may not.
  struct Stretch {
    const uint8_t *end, *after;
    bool ascii;
  };
  // From `p` to an invalid byte or a character of `foreign`; a long one to an ASCII character, with
  // which nothing before it composes or changes places.
  static Stretch stretch_at(const uint8_t* p, const uint8_t* end, uint16_t foreign) {
    constexpr ptrdiff_t kLong = 1 << 15;
    const LibraryClasses* classes = foreign != 0 ? &LibraryClasses::get() : nullptr;
    const uint8_t* q = p;
    bool ascii = true;
    while (q < end) {
      if (*q < 0x80) {
        if (q - p >= kLong) break;
        q = skip_ascii(q, p + std::min(end - p, kLong));
        continue;
      }
      const CodePoint c = decode_utf8(q, end);
      if (c.value == kInvalidByte || (classes != nullptr && (classes->of(c.value) & foreign)))
        return {q, q + c.size, ascii};
      ascii = false;
      q += c.size;
    }
    return {q, q, ascii};
  }

  bool bring_to_form(std::string_view text, std::string& out) const {
    bool changed = false;
    const uint8_t *begin = as_bytes(text), *p = begin, *end = begin + text.size();
    while (p < end) {
      // What is in ICU's form is in an older one, too: then newer characters need no look.
      Stretch s = stretch_at(p, end, changed ? foreign_ : uint16_t{0});
      if (!changed && !s.ascii && !is_in_form(p, s.end)) {
        changed = true;
        out.assign(text.substr(0, static_cast<size_t>(p - begin)));
        s = stretch_at(p, end, foreign_);
      }
      if (changed) {
        append_form(p, s, out);
        out.append(reinterpret_cast<const char*>(s.end), static_cast<size_t>(s.after - s.end));
      }
      p = s.after;
    }
    return changed;
  }

  bool is_in_form(const uint8_t* p, const uint8_t* end) const {
    UErrorCode status = U_ZERO_ERROR;
    const bool is = form_.isNormalizedUTF8(piece(p, end), status);
    check(status);
    return is;
  }

  void append_form(const uint8_t* p, const Stretch& s, std::string& out) const {
    const icu::StringPiece stretch = piece(p, s.end);
    if (s.ascii) {
      out.append(stretch.data(), static_cast<size_t>(stretch.size()));
      return;
    }
    UErrorCode status = U_ZERO_ERROR;
    icu::StringByteSink<std::string> sink(&out);
    form_.normalizeUTF8(0, stretch, sink, nullptr, status);
    check(status);
  }

  icu::StringPiece piece(const uint8_t* p, const uint8_t* end) const {
    require(end - p < INT_MAX, ErrorKind::kData, kWhere,
            "a text has {} bytes without an ASCII character, expected less than 2 GiB for {}; "
            "split it",
            end - p, name_);
    return {reinterpret_cast<const char*>(p), static_cast<int32_t>(end - p)};
  }
  void check(UErrorCode status) const {
    require(U_SUCCESS(status), ErrorKind::kData, kWhere, "{} failed: {}", name_,
            u_errorName(status));
  }

  // Of `out`, what `first` became: where marks from further on moved in between, or composed with
  // its last character, as far as the two agree. The first character always derives from it.
  size_t start_of(std::string_view first, const std::string& out) const {
    if (first.empty() || out.empty()) return 0;
    std::string alone;
    if (!bring_to_form(first, alone)) alone = first;
    const uint8_t *begin = as_bytes(out), *end = begin + out.size();
    size_t at = decode_utf8(begin, end).size;
    while (at < out.size()) {
      const size_t size = decode_utf8(begin + at, end).size;
      if (std::string_view(alone).substr(0, at + size) !=
          std::string_view(out).substr(0, at + size))
        break;
      at += size;
    }
    return at;
  }

  std::string_view name_;
  const icu::Normalizer2 &form_, &decomposition_;  // owned by ICU
  uint16_t foreign_;
};

constexpr Instance kNfc = icu::Normalizer2::getNFCInstance;
constexpr Instance kNfd = icu::Normalizer2::getNFDInstance;
constexpr Instance kNfkc = icu::Normalizer2::getNFKCInstance;
constexpr Instance kNfkd = icu::Normalizer2::getNFKDInstance;

}  // namespace

std::unique_ptr<Normalizer::Step> nfd_step() {
  return std::make_unique<UnicodeForm>("NFD", kNfd, kNfd, kAfterForms);
}

void make_nfc(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFC", kNfc, kNfd, kAfterForms));
}

void make_nfd(const text_json::Json&, const NormalizerSteps& to) { to.steps.push_back(nfd_step()); }

void make_nfkc(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKC", kNfkc, kNfkd, kAfterForms));
}

void make_nfkd(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKD", kNfkd, kNfkd, kAfterForms));
}

void make_nfkc_cf(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKC", kNfkc, kNfkd, uint16_t{0}));
  to.steps.push_back(fold_case_step());
}

}  // namespace lathe
